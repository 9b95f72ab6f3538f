"""A network that changes between two craftings is crafted against as it is now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.evaluator import evaluate
from harness.fast import crafting
from harness.fast.convolution import FoldedConvolution
from harness.fast.crafting import EVERY, FastCrafter
from harness.fast.folded import Folded
from harness.plugin.adversary import KL, CrossEntropy, Objective, ascend
from harness.plugin.attack import Attack
from harness.plugin.network import Shape
from harness.registry.catalogue import discover
from tests.harness.fast.networks import Net, images, settled
from tests.harness.fast.recording import Recorder
from tests.tiny import draws, make_batch, make_threat, make_tiny_model


@pytest.fixture(autouse=True)
def the_same_networks_each_time() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def crafts_alike(craft: FastCrafter, model: nn.Module, seed: int, objectives: list[Objective] | None = None) -> bool:
    """Whether the crafter gives what ``ascend`` gives, but for a sign of a gradient near zero."""
    x, y = images(Shape(3, 8, 8, 10), 8, seed), torch.arange(8)
    given, expected = (
        c(model, x, y, objectives or [CrossEntropy()], make_threat(), draws(seed))[0].x for c in (craft, ascend)
    )
    return float((given == expected).float().mean()) > 0.99


class TwoNorms(Net):
    """As networks with one batch-norm for clean images and another for adversarial ones."""

    def __init__(self) -> None:
        super().__init__()
        self.other, self.config = nn.BatchNorm2d(4), SimpleNamespace(clean=True)

    def features(self, x: Tensor) -> Tensor:
        return (self.norm if self.config.clean else self.other)(self.conv(x))  # type: ignore[no-any-return]


def test_a_network_that_takes_another_batch_norm_is_traced_again() -> None:
    model, craft = settled(TwoNorms()), FastCrafter()
    for seed in range(3):
        for clean in (True, False):
            model.config.clean = clean  # type: ignore[union-attr]
            assert crafts_alike(craft, model, seed)


def test_a_network_that_changes_at_every_call_is_seldom_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[nn.Module] = []

    def counted(model: nn.Module, x: Tensor) -> Folded:
        traced.append(model)
        return Folded(model, x)

    monkeypatch.setattr(crafting, "Folded", counted)
    model, craft = settled(Net()), FastCrafter()
    for call in range(3 * EVERY):
        model.calls = call  # type: ignore[assignment]
        assert crafts_alike(craft, model, call)
    assert 0 < len(traced) < 10


def test_a_tensor_that_is_taken_away_or_of_another_type_is_noticed_at_once() -> None:
    biased = nn.Conv2d(3, 4, 3, padding=1)
    model, craft = nn.Sequential(biased, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 10)).eval(), FastCrafter()
    with torch.no_grad():
        assert biased.bias is not None
        biased.bias.copy_(torch.tensor([2.0, -2.0, 2.0, -2.0]))  # so that two channels pass, and two do not
    assert all(crafts_alike(craft, model, seed) for seed in range(EVERY + 1))
    biased.bias = None
    assert crafts_alike(craft, model, 0)


def test_a_hook_that_is_added_later_acts() -> None:
    model, craft = settled(Net()), FastCrafter()
    assert crafts_alike(craft, model, 0)
    assert isinstance(model.norm, nn.Module)
    model.norm.register_forward_hook(lambda _module, _inputs, outputs: -outputs)
    assert crafts_alike(craft, model, 1)


def test_a_hook_that_is_added_between_two_blocks_acts() -> None:
    """This one changes no logit, but it cuts the gradient, so an attack does not get far."""
    model, x = settled(Net()).requires_grad_(False), images(Shape(3, 8, 8, 10), 8)
    attack = cast(Attack, discover("attacks").get("pgd").from_mapping({}))
    threat = make_threat(start="none", steps=10)

    def margins(faster: nn.Module | None) -> Tensor:
        return evaluate(model, attack, x, model(x).argmax(1), threat, draws(), faster=faster).margins

    assert torch.allclose(margins(model), margins(None), rtol=0, atol=1e-6)
    before = margins(None)
    assert isinstance(model.conv, nn.Module)
    model.conv.register_forward_hook(lambda _module, inputs, outputs: outputs.detach() + 0 * inputs[0].sum())
    assert not torch.allclose(margins(None), before, rtol=0, atol=1e-4)
    assert torch.allclose(margins(model), margins(None), rtol=0, atol=1e-6)


class InAList(Net):
    """Holds a layer in a list of its own, and so goes past the layer that stands in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = [self.conv]

    def features(self, x: Tensor) -> Tensor:
        return self.norm(self.first[0](x))  # type: ignore[no-any-return]


class AsksForTheKind(Net):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x) if isinstance(self.norm, nn.BatchNorm2d) else self.conv(x)


@pytest.mark.parametrize("kind", [InAList, AsksForTheKind])
def test_an_untrained_network_whose_layers_cannot_be_replaced_is_noticed_at_once(kind: type[Net]) -> None:
    model = kind()  # its batch-norm does next to nothing yet
    assert not Folded(model, images()).fits(images())


def test_small_logits_are_compared_as_closely_as_large_ones() -> None:
    class Asks(Net):
        def forward(self, x: Tensor) -> Tensor:
            features = self.features(x) if isinstance(self.norm, nn.BatchNorm2d) else F.relu(self.features(x)) * 2
            logits: Tensor = self.linear(features.mean((2, 3)))
            return logits * 1e-4 + 50  # what all classes share decides nothing

    assert not Folded(settled(Asks()), images()).fits(images())
    assert Folded(settled(Net()), images()).fits(images())


class Scaled(Net):
    """Its scale is a Python number, which a graph holds as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = 1.0

    def features(self, x: Tensor) -> Tensor:
        return F.relu(super().features(x) * self.scale)


class Frozen(Recorder):
    """Replays with the Python attributes of the recording, as a CUDA graph does; counts nothing else."""

    def __init__(self, model: Scaled) -> None:
        super().__init__()
        self._model = model

    def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
        replay, recorded = super().__call__(run), self._model.scale

        def frozen() -> None:
            now, self._model.scale = self._model.scale, recorded
            replay()
            self._model.scale = now

        return frozen


def test_a_graph_is_recorded_anew_when_an_attribute_has_changed() -> None:
    model = settled(Scaled())
    assert isinstance(model, Scaled)
    record = Frozen(model)
    craft = FastCrafter(record)
    assert crafts_alike(craft, model, 0)
    assert crafts_alike(craft, model, 1)
    model.scale = -1.0
    assert crafts_alike(craft, model, 2)
    assert crafts_alike(craft, model, 3)
    assert record.recorded == 2


def test_a_graph_is_not_used_for_a_divergence_from_other_images() -> None:
    record = Recorder()
    craft, model = FastCrafter(record), settled(Net())
    x, other = (images(Shape(3, 8, 8, 10), 8, seed) for seed in (0, 1))
    y = torch.arange(8)
    for clean in (x, other):
        objective = KL(clean)
        given, expected = (c(model, x, y, [objective], make_threat(), draws())[0].x for c in (craft, ascend))
        assert float((given == expected).float().mean()) > 0.99
    assert record.recorded == 1


def test_a_graph_and_the_comparisons_after_it_use_the_same_memory() -> None:
    """A graph reads addresses: layers that moved would leave it the weights of its recording, or what lies there."""
    at: list[tuple[int, ...]] = []

    def noted(run: Callable[[], None]) -> Callable[[], None]:
        def replay() -> None:
            assert craft._folded is not None
            at.append(tuple(layer.weight.data_ptr() for layer in craft._folded._layers))
            run()

        return replay

    craft, model = FastCrafter(Recorder(noted)), make_tiny_model()
    x, y = make_batch()
    for seed in range(2 * EVERY + 2):
        craft(model, x, y, [CrossEntropy()], make_threat(), draws(seed))
    assert len(at) == 2 * EVERY + 2
    assert len(set(at)) == 1


def test_layers_whose_memory_moved_are_recorded_anew() -> None:
    record = Recorder()
    craft, model = FastCrafter(record), make_tiny_model()
    x, y = make_batch()
    craft(model, x, y, [CrossEntropy()], make_threat(), draws())
    assert craft._folded is not None
    (layer,) = craft._folded._layers
    assert isinstance(layer, FoldedConvolution)
    layer.use(torch.contiguous_format)
    craft(model, x, y, [CrossEntropy()], make_threat(), draws())
    assert record.recorded == 2
