"""SWA, EMA's settings, and SAM by slow formulas; smoothed labels by their definition, in any order of wrappers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.methods.sat import SAT
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, CrossEntropy
from harness.plugin.method import Method, Step
from harness.plugin.wrapper import Wrapper
from harness.training.guard import guarded
from harness.training.wrapped import wrapped_backward
from harness.wrappers._average import Average
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from harness.wrappers.label_smoothing import LabelSmoothing
from harness.wrappers.sam import SAM
from harness.wrappers.swa import SWA
from tests.tiny import make_batch, make_step, make_tiny_model

VALUES = [1.0, 2.0, 4.0, 9.0, 3.0]  # of the one weight after each of five updates; progress is 0, 1/5, ..., 4/5


def courses(average: Average) -> tuple[list[float], list[float]]:
    """What is published after each update: the weight, and the running mean of a batch-norm, ten times the weight."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    weight, running = cast(Tensor, model[0].weight), cast(Tensor, model[1].running_mean)
    weights, means = [], []
    with torch.no_grad():
        weight.fill_(-100.0)
        average.prepare(model)
        for number, value in enumerate(VALUES):
            x, y = make_batch()
            average.adapt(make_step(model, x, y, progress=number / len(VALUES)))
            weight.fill_(value)
            running.fill_(10 * value)
            average.after(model)
            published = average.published(model.state_dict())
            weights.append(float(published["0.weight"]))
            means.append(float(published["1.running_mean"]))
    return weights, means


OWN = [10 * value for value in VALUES]
MEANS = [1.0, 2.0, 3.0, 5.0, 4.5]  # of the values since 1/5
LATE = [1.0, 2.0, 4.0, 9 * 9 / 11 + 4 * 2 / 11, 0.75 * 3 + 0.25 * (9 * 9 / 11 + 4 * 2 / 11)]
AT_ONCE = [1.0, 1.2, 1.76, 3.208, 3.1664]  # d = 0.8 from the second update on


@pytest.mark.parametrize(
    ("average", "weights", "means"),
    [
        (SWA(start=0.2), MEANS, [10 * value for value in MEANS]),
        (SWA(start=0.2, statistics="own"), MEANS, OWN),
        (SWA(start=0.9), VALUES, OWN),  # not begun: the weights themselves
        (EMA(decay=0.8, ramp=False), AT_ONCE, OWN),
        (EMA(decay=0.8, ramp=False, statistics="averaged"), AT_ONCE, [10 * value for value in AT_ONCE]),
        (EMA(decay=0.9, start=0.6), [1.0, 2.0, 4.0, LATE[3], LATE[4]], OWN),
    ],
    ids=lambda value: value.name if isinstance(value, Wrapper) else "",
)
def test_an_average_by_hand(average: Average, weights: list[float], means: list[float]) -> None:
    found = courses(average)
    assert found[0] == pytest.approx(weights)
    assert found[1] == pytest.approx(means)


def gradients(wrappers: Sequence[Wrapper], method: Method, model: nn.Module, step: Step) -> list[Tensor]:
    wrapped_backward(wrappers, held=True)(step, method.loss)
    return [cast(Tensor, parameter.grad) for parameter in model.parameters()]


def test_sam_is_the_gradient_at_the_highest_of_the_linear_loss_around() -> None:
    model, (x, y) = make_tiny_model(1, dtype=torch.float64), make_batch(seed=1)
    x, slow, before = x.double(), copy.deepcopy(model), copy.deepcopy(model.state_dict())
    ours = gradients([SAM(rho=0.3)], SAT(), model, make_step(model, x, y))
    x_adv = make_step(slow, x, y).perturb(CrossEntropy()).x
    probe = copy.deepcopy(slow)
    F.cross_entropy(probe(x_adv), y).backward()  # type: ignore[no-untyped-call]
    flat = torch.cat([cast(Tensor, p.grad).flatten() for p in probe.parameters()])
    with torch.no_grad():
        for moved, direction in zip(slow.parameters(), probe.parameters(), strict=True):
            moved.add_(0.3 * cast(Tensor, direction.grad) / flat.norm())
    F.cross_entropy(slow(x_adv), y).backward()  # type: ignore[no-untyped-call]
    for mine, parameter in zip(ours, slow.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, rtol=1e-9, atol=1e-12)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name])  # put back to the last bit
    for name, tensor in slow.named_buffers():
        torch.testing.assert_close(model.get_buffer(name), tensor)  # the statistics moved once


def test_sam_of_length_zero_is_the_plain_update_and_a_frozen_network_is_refused() -> None:
    x, y = make_batch()
    plain, wrapped = make_tiny_model(), make_tiny_model()
    expected = gradients([], SAT(), plain, make_step(plain, x, y))
    ours = gradients([SAM(rho=0.0)], SAT(), wrapped, make_step(wrapped, x, y))
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
    with pytest.raises(PluginFault, match=r"'sam' finds nothing to perturb: no parameter .* without --wrap sam"):
        gradients([SAM()], SAT(), wrapped, make_step(wrapped.requires_grad_(False), x, y))


def smoothed(logits: Tensor, y: Tensor, amount: float) -> Tensor:
    """The mean over the batch of -sum_k q_k log p_k, with q written out."""
    losses = []
    for z, label in zip(logits, y.tolist(), strict=True):
        target = torch.full_like(z, amount / len(z))
        target[label] += 1 - amount
        losses.append(-(target * (z - z.exp().sum().log())).sum())
    return torch.stack(losses).mean()


def test_smoothed_labels_by_their_definition_in_sat_and_in_the_first_term_of_trades() -> None:
    for method in (SAT(), TRADES()):
        model, (x, y) = make_tiny_model(1, dtype=torch.float64), make_batch(seed=1)
        x, slow = x.double(), copy.deepcopy(model)
        ours = gradients([LabelSmoothing(amount=0.4)], method, model, make_step(model, x, y))
        step = make_step(slow, x, y)  # the attack ascends what it ascends without
        if isinstance(method, SAT):
            loss = smoothed(slow(step.perturb(CrossEntropy()).x), y, 0.4)
        else:
            x_adv = step.perturb(KL(x)).x
            clean, adversarial = slow(x), slow(x_adv)
            p = clean.softmax(1)
            divergence = (p * (p.log() - adversarial.log_softmax(1))).sum(1).mean()
            loss = smoothed(clean, y, 0.4) + method.inverse_lambda * divergence
        expected = torch.autograd.grad(loss, list(slow.parameters()))
        for mine, theirs in zip(ours, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-11)


def test_smoothing_reaches_every_pass_of_the_loss_in_any_order_of_the_wrappers() -> None:
    x, y = make_batch()
    found = []
    for wrappers in ([LabelSmoothing(), AWP(gamma=0.1)], [AWP(gamma=0.1), LabelSmoothing()], [AWP(gamma=0.1)]):
        model = make_tiny_model()
        found.append(torch.cat([g.flatten() for g in gradients(wrappers, SAT(), model, make_step(model, x, y))]))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


class Torchs(SAT):
    """A method that takes torch's cross-entropy."""

    def loss(self, step: Step) -> Tensor:
        return F.cross_entropy(step.model(step.perturb(CrossEntropy()).x), step.y)


def test_a_method_that_would_not_smooth_is_refused_and_one_that_does_is_not() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    wrapped = wrapped_backward([LabelSmoothing()])
    wrapped(make_step(model, x, y), guarded(SAT(), None))
    with pytest.raises(PluginFault, match=r"never takes step\.cross_entropy, so its labels would not be smoothed"):
        wrapped(make_step(model, x, y), guarded(Torchs(), None))
    wrapped_backward([])(make_step(model, x, y), guarded(Torchs(), None))


class Lost(Wrapper):
    """A wrapper that forgets to return the step."""

    def adapt(self, step: Step) -> Step:
        return cast(Step, None)


def test_a_wrapper_that_gives_no_step_is_named() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    with pytest.raises(PluginFault, match="its adapt gives a NoneType"):
        wrapped_backward([Lost()], held=True)(make_step(model, x, y), SAT().loss)
