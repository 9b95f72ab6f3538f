"""Whether figures were measured by this command or come from the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.store.records import EvaluationRecord
    from harness.store.store import Store


def origin(evaluations: Iterable[EvaluationRecord], attacked: Collection[int]) -> str | None:
    """``from the store, 2026-11-25; nothing was attacked``; None where all was attacked now.

    Args:
        evaluations: those that the figures are of.
        attacked: numbers of the evaluations that this command worked on.
    """
    shown = list(evaluations)
    stored = [e for e in shown if e.id not in attacked]
    if not stored:
        return None
    dates = sorted({f"{e.created_utc:%Y-%m-%d}" for e in stored if e.created_utc is not None})
    when = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "at an unknown date"
    if len(stored) == len(shown):
        return f"from the store, {when}; nothing was attacked (--fresh begins again)"
    parts = ", ".join(dict.fromkeys(e.attack for e in stored))
    return f"from the store, {when}: {len(stored)} of {len(shown)} evaluations ({parts}); the others were attacked now"


def repeated(evaluations: Iterable[EvaluationRecord], store: Store) -> str | None:
    """Whether attacks that began again gave the verdicts that the store had before; None where it had none.

    The random numbers of an attack are derived, so the same model gives the same verdicts. Where it does not, it draws
    by itself, other arithmetic was used, or what was stored is of something else.
    """
    told = []
    again = [(e, previous) for e in evaluations if (previous := store.previous_attempt(e.id)) is not None]
    for evaluation, previous in again:
        now, before = store.verdicts(evaluation.id), store.verdicts(previous)
        differing = sum(a != b for a, b in zip(now, before, strict=False))  # the earlier one may have been stopped
        if differing:
            told.append(f"{evaluation.attack} seed {evaluation.seed} on {differing} of {len(before)} images")
    if told:
        return f"attacked again: the verdicts differ from those that the store had: {', '.join(told)}"
    return f"attacked again: {len(again)} evaluations, every verdict as the store had it" if again else None
