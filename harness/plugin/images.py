"""Which test images an evaluation took: all, the first, or a sample that is balanced over the classes."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Images:
    """An evaluation set of a data set.

    Attributes:
        count: how many test images.
        sample: ``first`` in the data set's order, which all of them are too; ``balanced`` over its classes. Limits of
            earlier versions took the first images, which may all be of one class.
    """

    count: int
    sample: str = "first"

    def described(self, total: int) -> str:
        """In words, given how many test images there are."""
        if self.sample == "balanced":
            return f"{self.count} test images, balanced over the classes"
        return f"{self.count} test images" if self.count == total else f"the first {self.count} test images"

    def places(self, labels: Sequence[int]) -> list[int]:
        """The place in the data set of each image, in the order in which verdicts are kept."""
        return list(range(self.count)) if self.sample == "first" else list(balanced_order(tuple(labels))[: self.count])


def evaluation_set(limit: int | None, total: int) -> Images:
    """The images that ``--limit`` asks for: all in the data set's order, or a balanced sample of them."""
    return Images(total) if limit in (None, total) else Images(limit or 0, "balanced")


@functools.lru_cache(maxsize=8)
def balanced_order(labels: tuple[int, ...]) -> tuple[int, ...]:
    """One fixed order of a data set's images, of which every beginning has as many of each class as can be.

    Round after round it takes one image of each class, in the order of the classes; a class whose images are all taken
    is left out. So the counts of two classes in a beginning differ by more than one only where a class has no more. The
    images of a class come in an order by SHA-256 of their place within the class, since neighbours in a data set may be
    alike. The order depends on the labels alone, and a larger sample holds a smaller one.
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
