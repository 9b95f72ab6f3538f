"""The formulas of the papers, one example after the other, in float64: what every method is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.plugin.method import Step


def nll(z: Tensor, y: int) -> Tensor:
    """-log p_y of one example's logits."""
    return torch.logsumexp(z, 0) - z[y]


def mean(losses: list[Tensor]) -> Tensor:
    """Of the losses of a batch's examples."""
    return torch.stack(losses).mean()


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(softmax(p) || softmax(q)) of one example's logits, Eq. 16."""
    total = torch.zeros((), dtype=p.dtype)
    for k in range(len(p)):
        log_p, log_q = p[k] - torch.logsumexp(p, 0), q[k] - torch.logsumexp(q, 0)
        total = total + torch.exp(log_p) * (log_p - log_q)
    return total


def geometry(kappa: int, steps: int, shift: float, assignment: str) -> float:
    """Eq. 6, and the official code's other two assignment functions."""
    if assignment == "discrete":
        return ((steps + 1) - kappa) / (steps + 1)
    z = shift + 5 * (1 - 2 * kappa / steps)
    return (1 + math.tanh(z)) / 2 if assignment == "tanh" else 1 / (1 + math.exp(-z))


def geometry_weights(method: Any, step: Step, kappa: Tensor) -> list[float]:
    """GAIRAT's weights of mean 1."""
    if step.progress < method.burn_in:
        return [1.0] * len(kappa)
    raw = [geometry(int(k), step.threat.steps, method.shift, method.assignment) for k in kappa]
    return [len(raw) * w / sum(raw) for w in raw]


def margin_weights(p: Tensor, q: Tensor, y: Tensor, margin: str, slope: float, bias: float) -> list[float]:
    """MAIL's weights of mean 1: p are the logits of the images, q those of the variants."""
    raw = []
    for i in range(len(y)):
        image, variant = ([float(v) for v in z[i].detach().softmax(0)] for z in (p, q))
        of = image if margin == "nat" else variant
        subtracted = image[y[i]] if margin == "dif" else max(of[k] for k in range(len(of)) if k != int(y[i]))
        raw.append(1 / (1 + math.exp(slope * (of[y[i]] - subtracted - bias))))
    return [len(raw) * w / sum(raw) for w in raw]


def gain(z: Tensor, y: int, attack: str, alpha: float, beta: float) -> float:
    """Eq. 8 or 9, then Eq. 10."""
    exponentials = [math.exp(float(v - z.max())) for v in z]
    p = [e / sum(exponentials) for e in exponentials]
    vulnerability = p[y] if attack == "pgd" else p[y] - max(p[k] for k in range(len(p)) if k != y)
    return float(alpha * max(1 - vulnerability, 0.0) ** beta)


def scale(gains: Sequence[Sequence[float]], minimum: float) -> float:
    """The s of Eq. 17, by bisection."""
    low, high = 0.0, 1.0
    while sum(max(minimum, high * sum(g)) for g in gains) < len(gains):
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        below = sum(max(minimum, middle * sum(g)) for g in gains) < len(gains)
        low, high = (middle, high) if below else (low, middle)
    return high


def local(
    logits: dict[str, Tensor], y: Tensor, g: dict[str, tuple[float, float]], minimum: float
) -> tuple[dict[str, list[float]], list[float]]:
    """The weights of each attack, and the floor weights; where every g is 0, every floor weight is 1."""
    n = len(y)
    gains = [[gain(z[i].detach(), int(y[i]), name, *g[name]) for name, z in logits.items()] for i in range(n)]
    if not any(value for row in gains for value in row):
        return {name: [0.0] * n for name in logits}, [1.0] * n
    s = scale(gains, minimum)
    weights = {name: [s * row[j] for row in gains] for j, name in enumerate(logits)}
    return weights, [max(minimum - s * sum(row), 0.0) for row in gains]
