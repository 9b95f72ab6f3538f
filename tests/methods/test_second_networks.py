"""Methods with a second network against the papers' equations: values, the gradients of every network, and buffers."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from harness.methods.ard import ARD
from harness.methods.dkl import DKL
from harness.methods.hat import HAT
from harness.methods.lbgat import LBGAT
from harness.methods.rslad import RSLAD
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, climb
from harness.plugin.method import Method
from harness.plugin.soft_labels import FromSoftLabels
from harness.wrappers.label_smoothing import LabelSmoothing
from tests.methods.slow_second import CASES, Slow, slow_dkl
from tests.tiny import make_batch, make_step, make_threat, make_tiny_model


def given(method: Method, model: nn.Module, seed: int) -> nn.Module:
    """Give a fresh method its second network, which is returned."""
    other = make_tiny_model(seed + 20, dtype=next(model.parameters()).dtype)
    beside = isinstance(method, LBGAT)
    if not isinstance(method, DKL):
        name = {ARD: "teacher", RSLAD: "teacher", HAT: "helper", LBGAT: "natural"}[type(method)]
        method.receive({} if beside else {name: other}, {name: other} if beside else {})
    for name in ("epoch", "means", "sums"):
        method.memory.pop(name, None)
    method.prepare(model)
    return other


@pytest.mark.parametrize(("method", "slow"), CASES, ids=[repr(method) for method, _ in CASES])
@pytest.mark.parametrize("seed", [3, 4])
def test_loss_and_the_gradients_of_both_networks_equal_the_equations(method: Method, slow: Slow, seed: int) -> None:
    model, (x, y) = make_tiny_model(seed, dtype=torch.float64), make_batch(n=4 + seed, seed=seed)
    x, other_model = x.double(), copy.deepcopy(model)
    second = given(method, model, seed)
    other_second = copy.deepcopy(second)
    expected = slow(method, make_step(other_model, x, y), other_second)
    loss = method.loss(make_step(model, x, y))
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)
    ours, theirs = (
        [p for m in both for p in m.parameters() if p.requires_grad]
        for both in ((model, second), (other_model, other_second))
    )
    for one, other in zip(
        torch.autograd.grad(loss, ours, materialize_grads=True, allow_unused=True),
        torch.autograd.grad(expected, theirs, materialize_grads=True, allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6 * float(other.abs().max()) + 1e-12)
    for one, other in zip(
        (*model.buffers(), *second.buffers()), (*other_model.buffers(), *other_second.buffers()), strict=True
    ):
        torch.testing.assert_close(one, other)  # a network that was trained before keeps its statistics
    moves = [name for name, parameter in second.named_parameters() if parameter.requires_grad]
    assert bool(moves) == isinstance(method, (LBGAT, DKL))


@pytest.mark.parametrize("beta", [1.0, 6.0])
def test_decoupled_kl_has_the_gradient_of_trades(beta: float) -> None:
    """Theorem 1 of the paper: with alpha = beta, o' constant in the square, and each image's own weights."""
    model, (x, y) = make_tiny_model(7, dtype=torch.float64), make_batch(seed=7)
    gradients = []
    for method in (DKL(alpha=beta, beta=beta, symmetric=False, class_wise=False), TRADES(inverse_lambda=beta)):
        own = copy.deepcopy(model)
        gradients.append(torch.autograd.grad(method.loss(make_step(own, x.double(), y)), list(own.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-10)


def test_a_teacher_that_is_the_student_teaches_rslad_nothing_on_the_images() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    method = RSLAD(alpha=0.0)
    method.receive({"teacher": copy.deepcopy(model)}, {})
    step = make_step(model, x, y)
    model.eval()  # so that both answer by the same statistics
    assert float(method.loss(step).detach()) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("alpha", "smoothed"), [(1.0, False), (0.75, True)])
def test_smoothed_labels_change_ard_only_where_the_label_has_a_weight(alpha: float, smoothed: bool) -> None:
    x, y = make_batch()
    losses = []
    for amount in (None, 0.3):
        method, model = ARD(alpha=alpha), make_tiny_model()
        method.receive({"teacher": make_tiny_model(1).eval()}, {})
        step = make_step(model, x, y)
        losses.append(method.loss(step if amount is None else LabelSmoothing(amount=amount).adapt(step)))
    assert torch.equal(*losses) is not smoothed


def test_soft_labels_stay_as_they_are_while_the_images_move() -> None:
    """With the network's own answer as labels, the objective is KL: so are the variants."""
    model, (x, y) = make_tiny_model().eval(), make_batch()
    threat, start = make_threat(), (x + 0.05).clamp(0, 1)
    with torch.no_grad():
        labels = model(x)
    one, other = (climb(model, x, y, [goal], threat, start)[0] for goal in (FromSoftLabels(labels), KL(x)))
    assert torch.equal(one.x, other.x)
    assert not torch.equal(one.x, start)


def test_the_classes_means_are_those_of_the_epoch_before() -> None:
    model, (x, _) = make_tiny_model(dtype=torch.float64), make_batch(n=6)
    method, other, x = DKL(temperature=2.0), copy.deepcopy(model), x.double()
    method.prepare(model)
    y = torch.tensor([1, 1, 3, 3, 3, 4])
    known = []
    for part in (slice(0, 3), slice(3, 6)):  # two batches of the first epoch
        method.loss(make_step(model, x[part], y[part]))
        variant = make_step(other, x[part], y[part]).perturb(KL(x[part]))
        known += other(x[part]).detach().tolist()
        other(variant.x)
    means = [[1 / 5] * 5 for _ in range(5)]  # a class without images keeps it
    for c in (1, 3, 4):
        powers = [[math.exp(z / 2.0) for z in known[i]] for i in range(6) if y[i] == c]
        own = [[power / math.fsum(row) for power in row] for row in powers]
        means[c] = [math.fsum(row[k] for row in own) / len(own) for k in range(5)]
    second = [replace(make_step(each, x, y), epoch=2) for each in (model, other)]
    expected = slow_dkl(method, second[1], other, means)
    torch.testing.assert_close(method.loss(second[0]), expected, rtol=1e-9, atol=1e-12)
