"""Where the figures of a function or a command come from: from the store, or measured now."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.store.records import EvaluationRecord
    from harness.store.store import Store


def origin(evaluations: Iterable[EvaluationRecord], attacked: Collection[int]) -> str | None:
    """Say which figures come from the store, as in ``from the store, 2026-11-25``; None if all were measured now.

    Args:
        evaluations: what the figures are computed from.
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
    """Say whether repeated attacks gave the same verdicts as the attempt before; None if there was none.

    The seed decides an attack's random numbers, so the same model gives the same verdicts. If they differ, the model
    draws numbers itself, the arithmetic differs, or the stored verdicts belong to something else.
    """
    changed = []
    again = [(e, previous) for e in evaluations if (previous := store.previous_attempt(e.id)) is not None]
    for evaluation, previous in again:
        now, before = store.verdicts(evaluation.id), store.verdicts(previous)
        differing = sum(a != b for a, b in zip(now, before, strict=False))  # the earlier attempt may have been stopped
        if differing:
            changed.append(f"{evaluation.attack} seed {evaluation.seed} on {differing} of {len(before)} images")
    if changed:
        return f"attacked again: the verdicts differ from those that the store had: {', '.join(changed)}"
    return f"attacked again: {len(again)} evaluations, every verdict as the store had it" if again else None
