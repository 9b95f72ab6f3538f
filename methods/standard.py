"""Natural training: the baseline that every method must beat."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class Standard(Method):
    """Cross-entropy on clean images, without attack: a baseline that attacks break almost completely.

    Departs: nothing; this is empirical risk minimisation.
    """

    formula = "l(f(x), y)"

    def loss(self, step: Step) -> Tensor:
        return step.cross_entropy(step.model(step.x)).mean()
