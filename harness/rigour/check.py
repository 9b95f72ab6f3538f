"""A check of rigour, the outcome of its function, and what a count of a few images proves: chance raises no flag."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from harness.events import Finding, Status

LEVEL = 0.01  # of McNemar's test


@dataclass(frozen=True)
class Outcome:
    """What a check's function returns; the check adds its name, mark, and threshold."""

    status: Status
    reason: str
    value: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    threshold: float | None = None  # of this judgement; None: the check's


def judged(flagged: bool, seen: str, suggests: str, value: float | None = None, **details: Any) -> Outcome:
    """Flagged or passed. The reason of a flag also says what the flag suggests."""
    reason = f"{seen}: {suggests}" if flagged else seen
    return Outcome("flagged" if flagged else "passed", reason, value, details)


def not_applicable(why: str) -> Outcome:
    """The check has nothing to look at; ``why`` says what is missing."""
    return Outcome("not-applicable", why)


Evidence = TypeVar("Evidence")


@dataclass(frozen=True)
class Check(Generic[Evidence]):
    """One check: its name, its mark on the board, and the function that judges.

    Attributes:
        threshold: the docstring of ``judge`` gives its source.
        obstacle: gives why there is nothing to judge, or None; called before ``judge``.
    """

    name: str
    mark: str
    judge: Callable[[Evidence], Outcome]
    threshold: float | None
    obstacle: Callable[[Evidence], str | None] = lambda _evidence: None

    def __call__(self, evidence: Evidence) -> Finding:
        """Judge the evidence."""
        why = self.obstacle(evidence)
        outcome = self.judge(evidence) if why is None else not_applicable(why)
        mark = self.mark if outcome.status == "flagged" else ""
        value = outcome.value if outcome.value is not None and math.isfinite(outcome.value) else None
        threshold = self.threshold if outcome.threshold is None else outcome.threshold
        return Finding(self.name, outcome.status, mark, value, threshold, outcome.reason, outcome.details)


class Excess(NamedTuple):
    """By how much one set of images exceeds another, both of the same images: McNemar's table."""

    more: int  # images only in the first set
    less: int  # images only in the second set
    of: int  # all images

    @property
    def share(self) -> float:
        """The difference, as a share of all images."""
        return (self.more - self.less) / self.of

    def beyond(self, share: float, level: float = LEVEL) -> bool:
        """Whether the difference exceeds ``share``, 0 or more, and chance (exact McNemar test, one-sided)."""
        from scipy.stats import binomtest

        if self.share <= share:
            return False
        return float(binomtest(self.more, self.more + self.less, alternative="greater").pvalue) < level


def excess(first: Tensor, second: Tensor) -> Excess:
    """The table of two ``(n,)`` bool tensors."""
    return Excess(int((first & ~second).sum()), int((second & ~first).sum()), len(first))


def points(share: float) -> str:
    """A share as percent, for a sentence."""
    return f"{100 * share:.1f}"
