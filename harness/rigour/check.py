"""A check of rigour, and the outcome that its function returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from harness.events import Finding, Status


@dataclass(frozen=True)
class Outcome:
    """What a check's function returns; the check adds its name, mark, and threshold."""

    status: Status
    reason: str
    value: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


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
        return Finding(self.name, outcome.status, mark, value, self.threshold, outcome.reason, outcome.details)
