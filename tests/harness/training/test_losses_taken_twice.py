"""A wrapper may take an update's loss several times: memory moves once, variants and updates stay the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.training.guard import guarded, moving_once
from harness.training.wrapped import wrapped_backward
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.losses import Odd, plain
from tests.tiny import make_batch, make_step, make_tiny_model


@dataclass(frozen=True, kw_only=True)
class Counting(Method):
    """Counts its updates, in a number, a tensor, and a network."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["batches"] = 0
        self.memory["sum"] = torch.zeros(())
        self.memory["net"] = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.memory["net"].weight)

    def loss(self, step: Step) -> Tensor:
        self.memory["batches"] += 1
        self.memory["sum"] += 1
        self.memory["net"].weight.data += 1
        self.memory[f"seen {self.memory['batches']}"] = True
        return plain(step)


@dataclass(frozen=True, kw_only=True)
class Thrice(Wrapper):
    """Takes the loss three times, as a stranger's wrapper may."""

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        for _ in range(2):
            torch.autograd.grad(loss(step), list(step.model.parameters()))
        return inner(step, loss)


@pytest.mark.parametrize(
    "wrappers",
    [[], [EMA()], [AWP()], [Thrice()], [AWP(), Thrice()], [Thrice(), AWP()], [AWP(), AWP()]],
    ids=["none", "ema", "awp", "thrice", "awp in thrice", "thrice in awp", "awp in awp"],
)
def test_a_methods_memory_moves_once_an_update_under_every_wrapper(wrappers: list[Wrapper]) -> None:
    method, model, (x, y) = Counting(), make_tiny_model(), make_batch()
    method.prepare(model)
    for wrapper in wrappers:
        wrapper.prepare(model)
    network = method.memory["net"]
    loss_of_an_update = moving_once(method, guarded(method, None), wrappers)
    for _ in range(3):
        wrapped_backward(wrappers)(make_step(model, x, y), loss_of_an_update())
    assert method.memory["batches"] == method.memory["sum"].item() == method.memory["net"].weight.item() == 3
    assert method.memory["net"] is network
    assert sorted(name for name in method.memory if name.startswith("seen")) == ["seen 1", "seen 2", "seen 3"]


def test_a_wrapper_within_a_wrapper_replays_the_same_variants() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    seen: list[Tensor] = []

    def does(step: Step) -> Tensor:
        step.log("x", step.x.mean())
        seen.append(step.perturb(CrossEntropy()).x)
        return F.cross_entropy(step.model(seen[-1]), step.y)

    logged: list[str] = []
    method = Odd(does=does)
    step = make_step(model, x, y, log=lambda name, _value: logged.append(name))
    wrapped_backward([AWP(), AWP()])(step, guarded(method, None))
    assert len(seen) == 3
    assert all(torch.equal(variant, seen[0]) for variant in seen)
    assert logged == ["x"]


# ---- variants that a loss writes into


def centred(in_place: bool) -> Callable[[Step], Tensor]:
    """A loss on a centred variant, which is centred in place or in a copy."""

    def does(step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        flipped = variant.steps_to_flip.mul_(2) if in_place else 2 * variant.steps_to_flip
        logits = step.model(variant.x.sub_(0.5) if in_place else variant.x - 0.5)
        return (flipped * F.cross_entropy(logits, step.y, reduction="none")).mean()

    return does


@pytest.mark.parametrize("wrappers", [[AWP()], [Thrice()], [AWP(), AWP()]], ids=["awp", "thrice", "awp in awp"])
def test_a_loss_that_writes_into_a_variant_gives_the_update_of_one_that_does_not(wrappers: list[Wrapper]) -> None:
    updates = []
    for in_place in (False, True):
        model, (x, y) = make_tiny_model(), make_batch()
        loss = guarded(Odd(does=centred(in_place)), None)
        updates.append([wrapped_backward(wrappers)(make_step(model, x, y), loss)])
        updates[-1] += [cast(Tensor, parameter.grad) for parameter in model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(*updates, strict=True))
