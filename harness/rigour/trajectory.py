"""An attack's way through the ball, seen from every iterate."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Trajectory:
    """An attack's way, seen from every iterate: the start, and each of the K steps.

    Attributes:
        losses: ``(K + 1, n)`` the cross-entropy.
        right: ``(K + 1, n)`` bool, whether the network was right.
        finite: ``(K + 1, n)`` bool, whether its outputs were finite.
        slopes: ``(K, n)`` the largest absolute entry of the gradient that a step followed; NaN is kept.
    """

    losses: Tensor
    right: Tensor
    finite: Tensor
    slopes: Tensor

    def until(self, step: int) -> Trajectory:
        """The way up to a step: the way of an attack with fewer steps."""
        last = step + 1
        return Trajectory(self.losses[:last], self.right[:last], self.finite[:last], self.slopes[:step])

    @property
    def last(self) -> Tensor:
        """``(n,)`` bool: right at the last iterate, by which PGD is judged."""
        return self.right[-1]


def right(logits: Tensor, y: Tensor) -> Tensor:
    """``(..., n)`` bool, as the evaluator judges: a network whose logits are not finite is wrong."""
    return (logits.argmax(-1) == y) & logits.isfinite().all(-1)


class Guarded(nn.Module):
    """The model, wrapped so that every attack on it runs to its end: missing gradients and NaN become zeros.

    So the checks measure how an attack fares on a network without gradient, where autograd would raise an error.

    Attributes:
        logits: the logits of each forward pass.
        slopes: for each backward pass ``(batch,)`` the largest absolute entry of an image's gradient; NaN is kept.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.logits: list[Tensor] = []
        self.slopes: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        x = x.view_as(x)  # so that the hook is on this pass only
        if x.requires_grad:
            x.register_hook(self._without_nan)  # type: ignore[no-untyped-call]
        logits: Tensor = self.model(x) + 0.0 * x.flatten(1).sum(1, keepdim=True)
        self.logits.append(logits.detach())
        return logits

    def _without_nan(self, gradient: Tensor) -> Tensor:
        self.slopes.append(gradient.flatten(1).abs().amax(1))
        return gradient.nan_to_num(0.0, 0.0, 0.0)
