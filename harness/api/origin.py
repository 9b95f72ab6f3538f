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
    """Say whether repeated attacks gave the same verdicts as the last complete attempt before; None if none was begun.

    The seed decides an attack's random numbers, so the same model gives the same verdicts. If they differ, the model
    draws numbers itself, the arithmetic differs, or the stored verdicts belong to something else.
    """
    compared, changed, alone = 0, [], []
    for evaluation in evaluations:
        named, previous = f"{evaluation.attack} seed {evaluation.seed}", store.previous_attempt(evaluation.id)
        if previous is None:
            alone += [named] if evaluation.attempt > 1 else []
            continue
        compared += 1
        now, before = store.verdicts(evaluation.id), store.verdicts(previous)
        differing = sum(a != b for a, b in zip(now, before, strict=True))
        if differing:
            changed.append(f"{named} on {differing} of {len(before)} images")
    said = []
    if changed:
        said.append(f"the verdicts differ from those that the store had: {', '.join(changed)}")
    elif compared:
        said.append(f"{compared} evaluations, every verdict as the store had it")
    if alone:
        said.append(f"no attempt before was complete, so there is nothing to compare: {', '.join(alone)}")
    return f"attacked again: {'; '.join(said)}" if said else None
