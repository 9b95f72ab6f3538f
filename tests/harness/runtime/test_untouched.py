"""An attack that writes into what it is given changes no figure: it is undone, or refused by name."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import pytest
import torch
from torch import Tensor, nn

from harness.errors import PluginError
from harness.evaluator import Verdicts, evaluate
from harness.plugin.attack import Attack, Passes
from harness.plugin.threat import Threat
from harness.registry.catalogue import discover
from harness.runtime.untouched import Untouched
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

Mischief = Callable[[nn.Module, Tensor, Tensor], object]


@dataclass(frozen=True, kw_only=True)
class Hostile(Attack):
    """Does to network, images, and labels what the test says, and gives the images back, or what that made."""

    name = "hostile"
    mischief: Mischief = lambda model, x, y: None

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        made = self.mischief(model, x, y)
        return x if made is None else made  # type: ignore[return-value]  # the point of it

    def passes(self, threat: Threat) -> Passes:
        return Passes()


def judged(mischief: Mischief, model: nn.Module | None = None, epsilon: float = 0.1) -> Verdicts:
    x, y = make_batch(n=50)
    return evaluate(model or make_tiny_model(), Hostile(mischief=mischief), x, y, make_threat(epsilon), draws())


@pytest.fixture
def right() -> Tensor:
    """Which images the network is right on: a plain pass."""
    x, y = make_batch(n=50)
    correct: Tensor = make_tiny_model().eval()(x).argmax(1) == y
    return correct


def blacken(model: nn.Module, x: Tensor, y: Tensor) -> None:
    x.zero_()


def test_images_written_into_are_held_to_the_ball_of_the_true_ones() -> None:
    x, y = make_batch(n=50)
    darker = (x - 0.1).clamp(min=0.0)  # the point of the ball that is nearest to black
    expected = make_tiny_model().eval()(darker).argmax(1) == y
    assert torch.equal(judged(blacken).correct, expected)


def test_labels_written_into_decide_nothing(right: Tensor) -> None:
    def agree(model: nn.Module, x: Tensor, y: Tensor) -> None:
        y.copy_(model(x).argmax(1))

    assert not right.all()  # else the attack would have nothing to gain
    assert torch.equal(judged(agree).correct, right)


def zero_weights(model: nn.Module, x: Tensor, y: Tensor) -> None:
    for parameter in model.parameters():
        parameter.data.zero_()  # which no version counter sees


def swap_weights(model: nn.Module, x: Tensor, y: Tensor) -> None:
    layer = model[0]  # type: ignore[index]
    layer.weight.data = torch.zeros_like(layer.weight)


def train_for_a_pass(model: nn.Module, x: Tensor, y: Tensor) -> None:
    model.train()
    model(x)
    model.eval()


def patch(model: nn.Module, x: Tensor, y: Tensor) -> None:
    model.forward = lambda images: torch.zeros(len(images), 5)


def replace_a_layer(model: nn.Module, x: Tensor, y: Tensor) -> None:
    model[2] = nn.Identity()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("mischief", "named"),
    [
        (zero_weights, "0.bias, 0.weight, 1.weight and 2 more"),
        (swap_weights, "0.weight"),
        (lambda model, x, y: model.train() and None, "0, 1, 2 and 3 more"),
        (train_for_a_pass, "1.num_batches_tracked, 1.running_mean, 1.running_var"),
        (lambda model, x, y: model[2].register_forward_hook(lambda *_: None) and None, "2"),
        (patch, "the whole network"),
        (replace_a_layer, "2"),
    ],
)
def test_a_network_left_changed_is_refused(mischief: Mischief, named: str) -> None:
    with pytest.raises(PluginError) as caught:
        judged(mischief)
    assert f"attack 'hostile' ({__file__}) left the network changed ({named})" in str(caught.value)


def test_a_network_that_changes_itself_in_each_pass_is_not_laid_at_the_attack(right: Tensor) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.passes = make_tiny_model(), torch.zeros(())
            self.register_buffer("counted", self.passes)
            self.register_buffer("unused", torch.full((2,), torch.nan))  # not a number, and yet the same

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            return self.inner(x)  # type: ignore[no-any-return]

    model = Counting()
    assert torch.equal(judged(lambda model, x, y: model(x) is None or None, model).correct, right)
    assert model.passes == 2  # the attack's and the evaluator's


def test_a_network_that_changes_itself_now_and_then_is_not_laid_at_an_attack_that_ships() -> None:
    class Observed(nn.Module):
        """Keeps the brightest pixel that it has seen, as an observer of a quantisation does."""

        def __init__(self, brightest: Tensor) -> None:
            super().__init__()
            self.inner = make_tiny_model()
            self.brightest = nn.Buffer(brightest)

        def forward(self, x: Tensor) -> Tensor:
            self.brightest.copy_(torch.maximum(self.brightest, x.detach().amax()))
            return self.inner(x)  # type: ignore[no-any-return]

    x, y = make_batch(n=50)
    brightest = x.amax()
    pgd = cast(Attack, discover("attacks").get("pgd").from_mapping({}))
    judged_of = [
        evaluate(network, pgd, x, y, make_threat(), draws()).correct
        for network in (Observed(brightest), make_tiny_model())
    ]
    assert brightest == 1.0 > x.amax()  # PGD went to the edge of the pixels, and a pass there is seen no more
    assert torch.equal(*judged_of)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda x: x.double(), "returned torch.float64, cpu, torch.strided for images of torch.float32"),
        (lambda x: (x * 255).to(torch.uint8), "returned torch.uint8"),
        (lambda x: x > 0.5, "returned torch.bool"),
        (lambda x: x.to("meta"), "returned torch.float32, meta"),
        (lambda x: x.to_sparse(), "torch.sparse_coo"),
        (lambda x: x.numpy(), "returned a ndarray"),
        (lambda x: (x,), "returned a tuple"),
    ],
)
def test_what_is_no_tensor_of_such_images_is_refused(made: Callable[[Tensor], object], told: str) -> None:
    with pytest.raises(PluginError) as caught:
        judged(lambda model, x, y: made(x))
    assert told in str(caught.value)


@pytest.fixture
def process_as_it_was() -> Iterator[None]:
    yield
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("process_as_it_was")
def test_what_an_attack_leaves_changed_of_the_process_is_put_back(right: Tensor) -> None:
    class Making(nn.Module):
        """Makes a tensor of the default type in its pass."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = make_tiny_model()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x + torch.zeros(()))  # type: ignore[no-any-return]

    def disturb(model: nn.Module, x: Tensor, y: Tensor) -> None:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        logging.disable()
        warnings.simplefilter("ignore")

    filters = list(warnings.filters)
    assert torch.equal(judged(disturb, Making()).correct, right)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert logging.root.manager.disable == 0
    assert warnings.filters == filters


@pytest.mark.parametrize("part", ["epsilon", "steps", "step_size", "start"])
def test_an_attack_reads_no_part_of_the_threat_that_its_budget_does_not_name(part: str, right: Tensor) -> None:
    """Its results under another value of that part would have the same identity."""

    @dataclass(frozen=True, kw_only=True)
    class Reading(Hostile):
        def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
            assert getattr(threat, part) == getattr(make_threat(), part)
            values = {"epsilon": 0.5, "steps": 9, "step_size": 0.5, "start": "none"}
            others = {name: value for name, value in values.items() if name != part}
            # the norm can be read where it is the default
            known = {part: getattr(threat, part), "norm": "Linf"} | others
            assert vars(replace(threat, **others)) == known  # type: ignore[arg-type]
            return x

    x, y = make_batch(n=50)
    Reading.budget = (part,)
    assert torch.equal(evaluate(make_tiny_model(), Reading(), x, y, make_threat(), draws()).correct, right)
    Reading.budget = tuple({"epsilon", "steps", "step_size", "start"} - {part})
    with pytest.raises(PluginError, match=f"reads {part} of the threat, but its budget does not name it"):
        evaluate(make_tiny_model(), Reading(), x, y, make_threat(), draws())


def test_an_attack_that_moves_images_must_name_the_radius_that_they_are_projected_by(right: Tensor) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Corruption(Hostile):
        budget: ClassVar[tuple[str, ...]] = ()

    x, y = make_batch(n=50)
    still, darker = Corruption(), Corruption(mischief=lambda model, x, y: x * 0.9)
    assert torch.equal(evaluate(make_tiny_model(), still, x, y, make_threat(), draws()).correct, right)
    with pytest.raises(PluginError, match="moves images, but its budget does not name epsilon"):
        evaluate(make_tiny_model(), darker, x, y, make_threat(), draws())
    Corruption.budget = ("epsilon",)
    expected = make_tiny_model().eval()(torch.maximum(x * 0.9, x - 0.05)).argmax(1) == y
    assert torch.equal(evaluate(make_tiny_model(), darker, x, y, make_threat(0.05), draws()).correct, expected)


def test_a_network_put_back_counts_as_untouched() -> None:
    model = make_tiny_model().eval()
    before = Untouched(model)
    weight, bias = (parameter.detach().clone() for parameter in model[0].parameters())
    zero_weights(model[0], torch.empty(0), torch.empty(0))
    model.train().eval()
    model[1].register_forward_hook(lambda *_: None).remove()
    assert before.changed(model) == {"0.weight", "0.bias"}
    model[0].load_state_dict({"weight": weight, "bias": bias})
    assert before.changed(model) == set()
