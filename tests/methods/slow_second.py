"""The formulas of methods with a second network, one example after the other: what each is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.methods.ard import ARD
from harness.methods.dkl import DKL
from harness.methods.hat import HAT
from harness.methods.lbgat import LBGAT
from harness.methods.rslad import RSLAD
from harness.plugin.adversary import KL, CrossEntropy
from harness.plugin.method import Method, Step
from tests.methods.slow import kl, mean, nll

Slow = Callable[[Any, Step, nn.Module], Tensor]


def constant(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(one[None]) for one in x])  # in evaluation mode, image by image


def slow_ard(method: ARD, step: Step, teacher: nn.Module) -> Tensor:
    x_adv, taught, t = step.perturb(CrossEntropy()).x, constant(teacher, step.x), method.temperature
    q, p = step.model(x_adv), step.model(step.x)
    return mean(
        [
            method.alpha * t * t * kl(taught[i] / t, q[i] / t) + (1 - method.alpha) * nll(p[i], int(step.y[i]))
            for i in range(len(p))
        ]
    )


def slow_rslad(method: RSLAD, step: Step, teacher: nn.Module) -> Tensor:
    """The variant is crafted here step by step: it ascends KL(T(x) || S(x'))."""
    taught, threat = constant(teacher, step.x), step.threat
    x_adv = threat.ball(step.x).start(threat.start, step.generator)
    step.model.eval()
    for _ in range(threat.steps):
        x_adv = x_adv.detach().requires_grad_()
        z = step.model(x_adv)
        (gradient,) = torch.autograd.grad(sum(kl(taught[i], z[i]) for i in range(len(z))), x_adv)  # type: ignore[arg-type]
        moved = x_adv.detach() + threat.step_size * gradient.sign()
        x_adv = moved.clamp(step.x - threat.epsilon, step.x + threat.epsilon).clamp(0, 1)
    step.model.train()
    q, p = step.model(x_adv), step.model(step.x)
    a = method.alpha
    return mean([a * kl(taught[i], q[i]) + (1 - a) * kl(taught[i], p[i]) for i in range(len(p))])


def slow_hat(method: HAT, step: Step, helper: nn.Module) -> Tensor:
    x_adv = step.perturb(KL(step.x)).x
    labels = [int(z.argmax()) for z in constant(helper, x_adv)]
    p, q, z = (step.model(x) for x in (step.x, x_adv, (1 - method.reach) * step.x + method.reach * x_adv))
    return mean(
        [
            nll(p[i], int(step.y[i])) + method.beta * kl(p[i], q[i]) + method.gamma * nll(z[i], labels[i])
            for i in range(len(p))
        ]
    )


def slow_lbgat(method: LBGAT, step: Step, natural: nn.Module) -> Tensor:
    x_adv = step.perturb(KL(step.x)).x
    q, g = step.model(x_adv), natural(step.x)
    p = step.model(step.x)  # it moves the statistics of batch-norm, whatever beta is
    losses = []
    for i in range(len(q)):
        square = sum((q[i, k] - g[i, k]) ** 2 for k in range(q.shape[1])) / q.shape[1]
        losses.append(square + nll(g[i], int(step.y[i])) + method.beta * kl(p[i], q[i]))
    return mean(losses)


def slow_dkl(method: DKL, step: Step, _nothing: nn.Module, means: Sequence[Sequence[float]] | None = None) -> Tensor:
    """With the classes' means of the epoch before; None: it is the first epoch."""
    x_adv = step.perturb(KL(step.x)).x
    p, q = step.model(step.x), step.model(x_adv)
    classes, known = p.shape[1], p.detach()
    means = means or [[1 / classes] * classes] * classes
    losses = []
    for i in range(len(p)):
        s = [float(v) for v in known[i].softmax(0)]
        w = means[int(step.y[i])] if method.class_wise else s
        other = q[i] if method.symmetric else q[i].detach()
        square = torch.zeros((), dtype=p.dtype)
        for j in range(classes):
            for k in range(classes):
                square = square + w[j] * w[k] * ((p[i, j] - p[i, k]) - (other[j] - other[k])) ** 2
        soft = sum(s[j] * nll(q[i], j) for j in range(classes))
        losses.append(nll(p[i], int(step.y[i])) + method.alpha / 4 * square + method.beta * soft)
    return mean(losses)


CASES: list[tuple[Method, Slow]] = [
    (ARD(), slow_ard),
    (ARD(alpha=0.3, temperature=2.0), slow_ard),
    (RSLAD(), slow_rslad),
    (RSLAD(alpha=0.2), slow_rslad),
    (HAT(), slow_hat),
    (HAT(beta=1.0, gamma=2.0, reach=3.5), slow_hat),
    (LBGAT(), slow_lbgat),
    (LBGAT(beta=6.0), slow_lbgat),
    (DKL(), slow_dkl),
    (DKL(symmetric=False, alpha=3.0), slow_dkl),
    (DKL(class_wise=False, beta=2.0), slow_dkl),
]
