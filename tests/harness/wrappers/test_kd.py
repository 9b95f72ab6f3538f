"""Distillation around a method: by a slow formula, and with AWP inside it."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import SettingError
from harness.methods.n_fgsm import NFGSM
from harness.methods.sat import SAT
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, CrossEntropy
from harness.plugin.method import Method, Step
from harness.training.wrapped import wrapped_backward
from harness.wrappers.awp import AWP
from harness.wrappers.kd import KD
from tests.methods.slow import kl, nll
from tests.tiny import make_batch, make_step, make_tiny_model


def taught(wrapper: KD) -> tuple[nn.Module, nn.Module]:
    teachers = make_tiny_model(31, dtype=torch.float64), make_tiny_model(32, dtype=torch.float64)
    wrapper.receive(dict(zip(("robust", "plain"), teachers, strict=True)), {})
    return teachers


def variant(method: Method, step: Step) -> Tensor:
    """What the method trains on; N-FGSM's by hand."""
    if not isinstance(method, NFGSM):
        return step.perturb(KL(step.x) if isinstance(method, TRADES) else CrossEntropy()).x
    noisy = step.uniform(2 * step.threat.epsilon).clamp(0, 1).requires_grad_()
    step.model.eval()
    (gradient,) = torch.autograd.grad(F.cross_entropy(step.model(noisy), step.y, reduction="sum"), noisy)
    step.model.train()
    return (noisy + step.threat.epsilon * gradient.sign()).detach().clamp(0, 1)


def slow(wrapper: KD, method: Method, step: Step, teachers: tuple[nn.Module, nn.Module]) -> Tensor:
    x_adv, t = variant(method, step), wrapper.temperature
    p = step.model(step.x) if isinstance(method, TRADES) else None
    q = step.model(x_adv)
    robust, plain = (teacher.eval()(x_adv).detach() for teacher in teachers)
    losses = []
    for i in range(len(q)):
        y = int(step.y[i])
        own = nll(q[i], y) if p is None else nll(p[i], y) + 6 * kl(p[i], q[i])
        distances = [t * t * kl(one[i] / t, q[i] / t) for one in (robust, plain)]
        a, b = wrapper.robust_share, wrapper.plain_share
        losses.append((1 - a - b) * own + a * distances[0] + b * distances[1])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("wrapper", [KD(), KD(robust_share=0.2, plain_share=0.7, temperature=5.0)], ids=repr)
@pytest.mark.parametrize("method", [SAT(), TRADES(), NFGSM()], ids=["sat", "trades", "n-fgsm"])
def test_loss_gradients_and_statistics_equal_the_papers_equation(wrapper: KD, method: Method) -> None:
    model, (x, y) = make_tiny_model(3, dtype=torch.float64), make_batch(n=6, seed=3)
    x, other, teachers = x.double(), copy.deepcopy(model), taught(wrapper)
    expected = slow(wrapper, method, make_step(other, x, y), teachers)
    expected.backward()  # type: ignore[no-untyped-call]
    loss = wrapped_backward([wrapper])(make_step(model, x, y), method.loss)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-12)
    for one, two in zip(model.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(one, two)  # the distilled terms' own pass moves no statistics


def test_awp_inside_ascends_the_whole_loss_and_logs_come_once() -> None:
    """With no share left to the method, AWP's direction, and the gradient, are those of the distilled terms alone."""
    (x, y), logged = make_batch(), list[str]()

    class Telling(SAT):
        def loss(self, step: Step) -> Tensor:
            step.log("told", step.x.mean())
            return 1e3 * super().loss(step)

    found = []
    for method in (SAT(), Telling()):
        wrapper, model = KD(robust_share=0.5, plain_share=0.5), make_tiny_model()
        for name, teacher in zip(("robust", "plain"), (make_tiny_model(31), make_tiny_model(32)), strict=True):
            wrapper.receive({**wrapper.networks, name: teacher}, {})
        step = make_step(model, x, y, log=lambda name, _value: logged.append(name))
        wrapped_backward([AWP(gamma=0.05), wrapper])(step, method.loss)
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))
    assert logged == ["told"]


def test_shares_above_one_are_refused() -> None:
    with pytest.raises(SettingError, match="leaves the method's loss a negative share"):
        KD(robust_share=0.8, plain_share=0.3)


def test_the_defaults_are_the_released_command() -> None:
    """Its main_adv.py: --coef_ce 0.3 --coef_kd1 0.1 (the standard teacher) --coef_kd2 0.6 (the robust one)."""
    wrapper = KD()
    left = 1 - wrapper.robust_share - wrapper.plain_share
    shares = (left, wrapper.plain_share, wrapper.robust_share, wrapper.temperature)
    assert shares == pytest.approx((0.3, 0.1, 0.6, 2.0))
