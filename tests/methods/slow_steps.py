"""The methods of one step, and of paired logits, written example by example, for tests/methods/test_formulas.py."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.methods.alp import ALP
from harness.methods.fast import RSFGSM
from harness.methods.free import Free
from harness.methods.grad_align import GradAlign
from harness.methods.n_fgsm import NFGSM
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step
from tests.methods.slow import mean, nll


def slow_fast(method: RSFGSM, step: Step) -> Tensor:
    epsilon = step.threat.epsilon
    start = step.x + epsilon * (2 * torch.rand(step.x.shape, generator=step.generator, dtype=step.x.dtype) - 1)
    ahead = start.clamp(0, 1) + method.alpha * epsilon * slow_sign(step, start.clamp(0, 1))
    z = step.model(torch.maximum(torch.minimum(ahead, step.x + epsilon), step.x - epsilon).clamp(0, 1))
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_n_fgsm(method: NFGSM, step: Step) -> Tensor:
    epsilon = step.threat.epsilon
    noise = method.k * epsilon * (2 * torch.rand(step.x.shape, generator=step.generator, dtype=step.x.dtype) - 1)
    noisy = (step.x + noise).clamp(0, 1)
    z = step.model((noisy + method.alpha * epsilon * slow_sign(step, noisy)).clamp(0, 1))
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_sign(step: Step, x: Tensor) -> Tensor:
    """The sign of the cross-entropy's gradient by each image alone, in evaluation mode."""
    model, signs = copy.deepcopy(step.model).eval(), []
    for i in range(len(x)):
        image = x[i : i + 1].clone().requires_grad_()
        signs.append(torch.autograd.grad(nll(model(image)[0], int(step.y[i])), image)[0].sign())
    return torch.cat(signs)


def slow_grad_align(method: GradAlign, step: Step) -> Tensor:
    epsilon = step.threat.epsilon
    variant = (step.x + method.alpha * epsilon * slow_sign(step, step.x)).clamp(0, 1)
    eta = epsilon * (2 * torch.rand(step.x.shape, generator=step.generator, dtype=step.x.dtype) - 1)
    gradients = []
    for point in (step.x, step.x + eta):
        point = point.clone().requires_grad_()
        logits = step.model(point)
        total = sum((nll(logits[i], int(step.y[i])) for i in range(len(point))), torch.zeros((), dtype=point.dtype))
        gradients.append(torch.autograd.grad(total, point, create_graph=True)[0].flatten(1))
    cosines = [(u @ v) / (u.norm() * v.norm()) for u, v in zip(*gradients, strict=True) if u.norm() * v.norm() > 0]
    z = step.model(variant)
    natural = mean([nll(z[i], int(step.y[i])) for i in range(len(z))])
    return natural + method.weight * (1 - mean(cosines))


def slow_free(method: Free, step: Step) -> Tensor:
    z = step.model(step.x)  # the perturbation begins at zero; tests/methods/test_free.py moves it
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_alp(method: ALP, step: Step) -> Tensor:
    variant = step.perturb(CrossEntropy())
    p, q = step.model(step.x), step.model(variant.x)
    losses = []
    for i in range(len(p)):
        y, classes = int(step.y[i]), range(len(p[i]))
        paired = torch.stack([(p[i][k] - q[i][k]) ** 2 for k in classes]).sum() / len(classes)
        losses.append((nll(p[i], y) + nll(q[i], y)) / 2 + method.weight * paired)
    return mean(losses)


SINGLE_STEP: list[tuple[Method, Callable[[Any, Step], Tensor]]] = [
    (RSFGSM(), slow_fast),
    (RSFGSM(alpha=0.4), slow_fast),
    (NFGSM(), slow_n_fgsm),
    (NFGSM(alpha=0.5, k=0.0), slow_n_fgsm),
    (NFGSM(alpha=20.0, k=0.5), slow_n_fgsm),  # a step from any image to any other
    (GradAlign(), slow_grad_align),
    (GradAlign(weight=3.0, alpha=0.5), slow_grad_align),
    (Free(), slow_free),
    (ALP(), slow_alp),
    (ALP(weight=10.0), slow_alp),
]
"""Methods, and their slow formulas."""
