"""Which attempt at an evaluation counts: the newest that is complete. A stopped repetition takes no figure away.

A damaged attempt counts as a complete one does: its figure is refused, and no older one stands in for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from harness.store.records import EvaluationRecord

Rank = tuple[bool, int]
Records = tuple[EvaluationRecord, ...]


def rank(attempt: int, *, whole: bool, damaged: bool) -> Rank:
    """Of several attempts at one evaluation the one with the greatest rank counts.

    Args:
        whole: whether it has as many verdicts as images.
    """
    return whole or damaged, attempt


def counting_and_begun(attempts: Iterable[EvaluationRecord]) -> tuple[Records, Records]:
    """Of a checkpoint's evaluations the attempts that count, and the newer ones that were begun; by their numbers.

    Args:
        attempts: every attempt at every evaluation of the checkpoint.
    """
    counting: dict[tuple[object, ...], tuple[Rank, EvaluationRecord]] = {}
    newest: dict[tuple[object, ...], EvaluationRecord] = {}
    for e in sorted(attempts, key=attrgetter("attempt")):
        key = e.attack, e.settings_sha256, e.seed, e.images
        newest[key] = e
        own = rank(e.attempt, whole=e.done == e.examples, damaged=e.damage is not None)
        if key not in counting or counting[key][0] <= own:
            counting[key] = own, e
    kept = [e for _, e in counting.values()]
    begun = [e for key, e in newest.items() if e is not counting[key][1]]
    by_number = attrgetter("id")
    return tuple(sorted(kept, key=by_number)), tuple(sorted(begun, key=by_number))
