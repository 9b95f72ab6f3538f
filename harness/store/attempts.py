"""Which attempt at an evaluation counts: the newest that is complete. A stopped repetition takes no figure away.

A damaged attempt counts as a complete one does: its figure is refused, and no older one stands in for it.

Of the attempts at a training the newest that is done counts, whatever it was attacked by: an older network may be of
code that has changed since. So figures may leave a board; ``only_earlier`` says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from harness.store.earlier import Earlier
from harness.store.records import CheckpointRecord, EvaluationRecord
from harness.store.standing import CheckpointStanding

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


Checkpoints = Sequence[CheckpointRecord] | Sequence[CheckpointStanding]


def only_earlier(newest: Checkpoints, earlier: Iterable[tuple[int, Checkpoints]]) -> tuple[Earlier, ...]:
    """The figures that earlier attempts at a training have, and the newest that is done has not (yet).

    Args:
        newest: the checkpoints of the attempt that counts.
        earlier: number and checkpoints of each older attempt that is done, oldest first.
    """
    there = {key[1:] for key in _figures(0, newest)}
    found = {key[1:]: key for number, checkpoints in earlier for key in _figures(number, checkpoints)}
    return tuple(sorted(key for own, key in found.items() if own not in there))


def _figures(number: int, checkpoints: Checkpoints) -> Iterable[Earlier]:
    for checkpoint in checkpoints:
        for e in checkpoint.evaluations:
            if e.damage is None and e.done == e.examples:
                yield Earlier(number, checkpoint.name, e.attack, e.settings_sha256, e.images)
