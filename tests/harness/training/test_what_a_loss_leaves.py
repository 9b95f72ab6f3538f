"""A loss leaves weights, gradients, and the batch as they were: each change stops the run with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover
from harness.training.guard import guarded
from tests.harness.training.losses import Odd, and_plain, plain
from tests.tiny import make_batch, make_step, make_tiny_model


def steps_an_optimiser(step: Step) -> None:
    optimizer = torch.optim.SGD(step.model.parameters(), lr=0.1)
    gradients = torch.autograd.grad(plain(step), list(step.model.parameters()))
    for parameter, gradient in zip(step.model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    optimizer.zero_grad()


def crafts_by_backward(step: Step) -> None:
    x = step.x.clone().requires_grad_()
    F.cross_entropy(step.model(x), step.y).backward()  # type: ignore[no-untyped-call]


def replaces(step: Step) -> None:
    step.model[0].weight = nn.Parameter(step.model[0].weight.detach().clone())  # type: ignore[index]


def weight(step: Step) -> Tensor:
    return cast(Tensor, step.model[0].weight)  # type: ignore[index]


def by_numpy(step: Step) -> None:
    weight(step).detach().numpy()[0] = 0


CHANGES: dict[str, tuple[Callable[[Step], object], str]] = {
    "backward of its own": (lambda s: plain(s).backward(), r"its loss changed the gradient of 0.weight, .* and 3 more"),  # type: ignore[no-untyped-call]
    "backward to craft": (crafts_by_backward, r"the gradient of 0.weight, .*torch.autograd.grad\(loss, x\)"),
    "zeros for no gradient": (
        lambda s: setattr(weight(s), "grad", 0 * weight(s).detach()),
        "the gradient of 0.weight;",
    ),
    "an optimiser of its own": (
        steps_an_optimiser,
        "its loss changed parameter 0.weight, .* the optimiser alone changes",
    ),
    "a weight by its data": (lambda s: weight(s).data.mul_(2), "its loss changed parameter 0.weight;"),
    "a weight by numpy": (by_numpy, "its loss changed parameter 0.weight;"),
    "other data": (lambda s: setattr(weight(s), "data", 2 * weight(s).data), "its loss changed parameter 0.weight;"),
    "another parameter": (replaces, "its loss changed parameter 0.weight"),
    "a new parameter": (lambda s: s.model.register_parameter("new", nn.Parameter(torch.ones(1))), "parameter new"),
    "a hook on a weight": (lambda s: weight(s).register_hook(lambda g: 2 * g), "0.weight; .* a hook on a weight"),  # type: ignore[no-untyped-call]
    "the images": (lambda s: s.x.add_(0.1), r"its loss changed the images step.x; .*step.x.clone\(\)"),
    "the images by their data": (lambda s: s.x.data.add_(0.1), "its loss changed the images step.x"),
    "the labels": (lambda s: s.y.zero_(), "its loss changed the labels step.y"),
    "a frozen buffer": (lambda s: s.model[1].running_mean.add_(1), "its loss changed buffer 1.running_mean; a module"),  # type: ignore[index]
}


@pytest.mark.parametrize(("does", "problem"), CHANGES.values(), ids=CHANGES)
def test_a_loss_leaves_weights_gradients_and_the_batch_as_they_were(
    does: Callable[[Step], object], problem: str
) -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y)
    model[1].eval()
    with pytest.raises(PluginFault, match=problem) as caught:
        guarded(Odd(does=and_plain(does)), None)(step)
    assert "\n" not in str(caught.value)


def test_what_torch_does_not_count_is_seen_within_five_updates() -> None:
    model, (x, y), updates = make_tiny_model(), make_batch(), []

    def does(step: Step) -> None:
        updates.append(1)
        if len(updates) > 1:
            weight(step).data.mul_(1.5)

    loss = guarded(Odd(does=and_plain(does)), None)

    def train() -> None:
        for _ in range(20):
            loss(make_step(model, x, y))

    with pytest.raises(PluginFault, match=r"parameter 0\.weight"):
        train()
    assert len(updates) <= 6


def test_a_gradient_that_was_there_may_not_grow() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    plain(make_step(model, x, y)).backward()  # type: ignore[no-untyped-call]
    assert torch.equal(guarded(Odd(), None)(make_step(model, x, y)), plain(make_step(model, x, y)))
    with pytest.raises(PluginFault, match=r"the gradient of 0\.weight"):
        guarded(Odd(does=and_plain(crafts_by_backward)), None)(make_step(model, x, y))


def test_a_loss_may_craft_by_autograd_and_clear_what_it_left_itself() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    expected = plain(make_step(model, x, y))

    def crafts(step: Step) -> None:
        images = step.x.clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(step.model(images), step.y), images)

    def clears(step: Step) -> None:
        crafts_by_backward(step)
        step.model.zero_grad()

    for does in (crafts, clears):
        assert torch.equal(guarded(Odd(does=and_plain(does)), None)(make_step(model, x, y)), expected)


def test_weights_that_are_no_numbers_are_not_a_changed_weight() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    nn.init.constant_(cast(Tensor, model[0].weight), torch.nan)
    assert bool(guarded(Odd(), None)(make_step(model, x, y)).isnan())


def test_a_network_that_writes_its_weights_in_its_forward_pass_is_named_itself() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Clipped(Network):
        name = "clipped"

        def build(self, shape: Shape) -> nn.Module:
            raise NotImplementedError

    model, (x, y) = make_tiny_model(), make_batch()

    def clip(module: nn.Module, _inputs: object) -> None:
        module[0].weight.data.clamp_(-0.01, 0.01)  # type: ignore[index]

    model.register_forward_pre_hook(clip)
    sat = cast(Method, discover("methods").get("sat")())
    with pytest.raises(PluginFault, match=r"^network 'clipped' .* a pass of it changed parameter 0.weight"):
        guarded(sat, Clipped())(make_step(model, x, y))
