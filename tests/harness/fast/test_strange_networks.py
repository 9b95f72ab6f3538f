"""Networks that do more than compute: the faster layers leave them alone, and leave nothing behind."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

from harness.evaluator import evaluate
from harness.fast.attributes import attributes
from harness.fast.crafting import FastCrafter
from harness.fast.folded import Folded
from harness.fast.pairs import pairs
from harness.plugin.adversary import KL, CrossEntropy, ascend
from harness.plugin.network import Shape
from harness.registry.catalogue import discover
from tests.harness.fast.networks import Net, OneMemory, images, settled
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

SHAPE = Shape(3, 8, 8, 10)


@pytest.fixture(autouse=True)
def the_same_networks_each_time() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class WritesIntoImages(Net):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2).add_(-1)
        return super().forward(x)


def test_images_that_the_network_writes_into_are_copies() -> None:
    x = images(SHAPE, 8)
    before = x.clone()
    pairs(settled(WritesIntoImages()), x)
    Folded(settled(WritesIntoImages()), x).fits(x)
    assert torch.equal(x, before)


def test_a_network_that_writes_into_its_images_is_judged_as_it_is() -> None:
    model, x, y = settled(WritesIntoImages()).requires_grad_(False), images(SHAPE, 8), torch.arange(8)
    pgd: Any = discover("attacks").get("pgd").from_mapping({})
    plain, fast = (
        evaluate(model, pgd, x.clone(), y, make_threat(steps=10), draws(), faster=faster, keep=8)
        for faster in (None, model)
    )
    assert torch.equal(plain.adversarial, fast.adversarial)
    assert torch.equal(plain.margins, fast.margins)


class Frozen(Net):
    """As in detectors: its batch-norm stays as it is, and needs no gradient."""

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        self.norm.weight.requires_grad_(False)
        return self


class Averaged(Net):
    """Evaluates with other weights, which ``eval`` puts in and ``train`` takes out."""

    def train(self, mode: bool = True) -> Averaged:
        if mode != self.training:
            with torch.no_grad():
                for parameter in self.parameters():
                    parameter.neg_()
        super().train(mode)
        return self


@pytest.mark.parametrize("kind", [Frozen, Averaged])
def test_a_network_that_acts_on_its_mode_keeps_its_layers(kind: type[Net]) -> None:
    model, x, y = settled(kind()).train(), images(SHAPE, 8), torch.arange(8)
    assert pairs(model, x) == []
    given, expected = (
        craft(copy.deepcopy(model), x, y, [CrossEntropy()], make_threat(steps=5), draws(1))[0].x
        for craft in (FastCrafter(), ascend)
    )
    assert torch.equal(given, expected)


class Draws(Net):
    def __init__(self) -> None:
        super().__init__()
        self.own = np.random.default_rng(0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.01 * float(self.own.random()))


class Counts(Net):
    def __init__(self) -> None:
        super().__init__()
        self.passes = np.zeros(1)

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(x)


@pytest.mark.parametrize("kind", [Draws, Counts])
def test_a_network_with_a_generator_or_a_counter_of_its_own_keeps_its_layers_and_its_state(kind: type[Net]) -> None:
    model = settled(kind())
    folded = Folded(model, images(SHAPE, 8))
    assert not folded.fits(images(SHAPE, 8))
    if isinstance(model, Draws):
        assert model.own.random() == np.random.default_rng(0).random()
    else:
        assert model.passes == 0


def test_a_layer_with_a_function_in_place_of_its_class_s_keeps_it() -> None:
    model = settled(Net())
    assert [run.norm for run in pairs(model, images(SHAPE))] == ["norm"]

    def coarse(self: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, (weight * 2048).round() / 2048, bias, self.stride, self.padding)

    model.conv._conv_forward = types.MethodType(coarse, model.conv)  # type: ignore[union-attr]
    assert pairs(model, images(SHAPE)) == []


def test_a_network_with_another_forward_than_its_class_s_keeps_its_layers() -> None:
    model = settled(Net())
    model.forward = lambda x: -Net.forward(model, x)  # type: ignore[arg-type]
    assert pairs(model, images(SHAPE)) == []


def test_hooks_of_every_module_are_heeded() -> None:
    model, x, y = settled(Net()), images(SHAPE, 8), torch.arange(8)
    craft = FastCrafter()

    def crafted(by: Any) -> Tensor:
        made: Tensor = by(model, x, y, [CrossEntropy()], make_threat(steps=5), draws(1))[0].x
        return made

    assert torch.equal(crafted(craft), crafted(ascend))
    hook = module_hooks.register_module_forward_hook(
        lambda module, _, given: -given if type(module) is nn.BatchNorm2d else None
    )
    try:
        assert pairs(model, x) == []
        assert torch.equal(crafted(craft), crafted(ascend))
    finally:
        hook.remove()


def test_a_pruned_layer_whose_settings_say_otherwise_keeps_its_layers() -> None:
    norm, first, second = nn.BatchNorm2d(6), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3)
    model = settled(nn.Sequential(first, nn.ReLU(), second, norm, nn.Flatten(), nn.Linear(96, 10)))
    assert [run.convolution for run in pairs(model, images(SHAPE))] == ["0", "2"]
    first.weight, first.bias = nn.Parameter(first.weight[:3].clone()), nn.Parameter(first.bias[:3].clone())  # type: ignore[index]
    second.weight = nn.Parameter(second.weight[:, :3].clone())
    assert pairs(model, images(SHAPE)) == []
    craft, x, y = FastCrafter(), images(SHAPE, 8), torch.arange(8)
    given, expected = (by(model, x, y, [CrossEntropy()], make_threat(), draws(1))[0].x for by in (craft, ascend))
    assert torch.equal(given, expected)


class Answers:
    def __init__(self) -> None:
        self.clean = True

    def __call__(self) -> bool:
        return self.clean


def _set() -> tuple[Any, Callable[[Any], None]]:
    return {"clean"}, lambda flags: flags.symmetric_difference_update({"clean", "adversarial"})


def _array() -> tuple[Any, Callable[[Any], None]]:
    return np.zeros(3), lambda array: array.fill(1)


def _called() -> tuple[Any, Callable[[Any], None]]:
    return Answers(), lambda called: vars(called).update(clean=False)


@pytest.mark.parametrize("make", [_set, _array, _called])
def test_a_flag_that_changes_in_its_place_is_noticed(make: Callable[[], tuple[Any, Callable[[Any], None]]]) -> None:
    model = Net()
    flag, change = make()
    model.flag = flag
    before = attributes(model)
    assert attributes(model) == before
    change(flag)
    assert attributes(model) != before


def test_a_weight_of_another_shape_is_noticed() -> None:
    model = Net()
    before = attributes(model)
    model.conv.weight = nn.Parameter(torch.randn(4, 3, 1, 1))
    assert attributes(model) != before


def test_the_divergence_is_from_the_clean_prediction_also_if_logits_share_their_memory() -> None:
    """Else the clean logits are overwritten by the present ones, and the divergence is 0 everywhere."""
    model, (x, y) = make_tiny_model(seed=4).eval(), make_batch(n=30, seed=4)
    threat = make_threat(epsilon=0.3, steps=8, step_size=0.02)
    own, shared = (ascend(net, x, y, [KL(x)], threat, draws(9))[0].x for net in (model, OneMemory(model)))
    assert torch.equal(own, shared)


class OtherWithoutGradient(Net):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.BatchNorm2d(4)

    def features(self, x: Tensor) -> Tensor:
        made: Tensor = (self.norm if torch.is_grad_enabled() else self.other)(self.conv(x))
        return made


def test_a_network_that_takes_another_way_without_a_gradient_keeps_its_layers() -> None:
    model, x, y = settled(OtherWithoutGradient()), images(SHAPE, 8), torch.arange(8)
    assert pairs(model, x) == []
    given, expected = (by(model, x, y, [KL(x)], make_threat(), draws(1))[0].x for by in (FastCrafter(), ascend))
    assert torch.equal(given, expected)
