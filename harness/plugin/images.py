"""Which test images an evaluation attacks: all, the first N, or a sample that is balanced over the classes."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Images:
    """An evaluation set: which test images of a data set are attacked.

    Attributes:
        count: how many test images.
        sample: ``first``: the first ``count`` in the data set's order, or all; ``balanced`` over its classes. Limits of
            earlier versions took the first images, which may all be of one class.
    """

    count: int
    sample: str = "first"

    def described(self, total: int) -> str:
        """The evaluation set for the user, given the data set's number of test images."""
        if self.sample == "balanced":
            return f"{self.count} test images, balanced over the classes"
        return f"{self.count} test images" if self.count == total else f"the first {self.count} test images"

    def places(self, labels: Sequence[int]) -> list[int]:
        """The position of each image in the data set, in the order of the verdicts."""
        return list(range(self.count)) if self.sample == "first" else list(balanced_order(tuple(labels))[: self.count])


def evaluation_set(limit: int | None, total: int) -> Images:
    """The images that ``--limit`` asks for: all, in the data set's order, or a balanced sample."""
    return Images(total) if limit in (None, total) else Images(limit or 0, "balanced")


@functools.lru_cache(maxsize=8)
def balanced_order(labels: tuple[int, ...]) -> tuple[int, ...]:
    """A fixed order of a data set's images whose first N images are balanced over the classes, for every N.

    The order takes one image of each class in turn, skipping classes that have no images left. So the counts of two
    classes among the first N differ by more than one only if a class has no more images. Within a class, images are
    ordered by the SHA-256 of their position, since neighbours in a data set may be similar. The order depends on the
    labels alone, and a larger sample contains every smaller one.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        members[label].append(place)
    for places in members.values():
        shuffled = sorted(range(len(places)), key=_key)
        places[:] = [places[i] for i in shuffled]
    rounds = max((len(places) for places in members.values()), default=0)
    return tuple(members[label][r] for r in range(rounds) for label in sorted(members) if r < len(members[label]))


def _key(place: int) -> bytes:
    return hashlib.sha256(f"evaluation set {place}".encode()).digest()
