"""Verdicts of examples as bits, margins as half floats, predicted classes as numbers of two bytes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    import numpy as np

NOT_KEPT = -2  # in place of a predicted class that an older version did not keep; -1: the logits are not finite
_CLASS, _NO_CLASS = "<u2", 65535
_MARGIN = "<f2"  # float16, little-endian on every machine: its three to four digits are enough to order examples


def pack(verdicts: bytes) -> bytes:
    """One byte an example (0 or 1) to one bit an example, most significant first, zero-padded."""
    import numpy as np  # imported late: reading a leaderboard needs counts, not verdicts

    return np.packbits(np.frombuffer(verdicts, np.uint8)).tobytes()


def unpack(packed: bytes, examples: int) -> bytes:
    """The inverse of ``pack``, given the number of examples."""
    import numpy as np

    return np.unpackbits(np.frombuffer(packed, np.uint8), count=examples).tobytes()


def pack_margins(margins: Sequence[float]) -> bytes:
    """Margins in [-1, 1] to two bytes each."""
    import numpy as np

    return np.asarray(margins, _MARGIN).tobytes()


def unpack_margins(packed: bytes) -> list[float]:
    """The inverse of ``pack_margins``, up to rounding to float16."""
    import numpy as np

    margins: list[float] = np.frombuffer(packed, _MARGIN).astype(float).tolist()
    return margins


def pack_classes(classes: Sequence[int]) -> bytes:
    """Predicted classes to two bytes each; -1 is none."""
    import numpy as np

    numbers = np.asarray(classes, np.int64)
    if (numbers < -1).any() or (numbers >= _NO_CLASS).any():
        raise ValueError(f"classes must lie in [-1, {_NO_CLASS})")
    return np.where(numbers < 0, _NO_CLASS, numbers).astype(_CLASS).tobytes()


def unpack_classes(packed: bytes) -> list[int]:
    """The inverse of ``pack_classes``."""
    classes: list[int] = _classes(packed).tolist()
    return classes


def _classes(packed: bytes) -> np.ndarray[Any, Any]:
    import numpy as np

    classes = np.frombuffer(packed, _CLASS).astype(np.int32)
    classes[classes == _NO_CLASS] = -1
    return classes


VerdictsById = Mapping[int, bytes]
"""Evaluation's number -> one byte a test image: 1 where the network is right under the attack, else 0."""


class Bits(Mapping[int, bytes]):
    """The verdicts of many evaluations, one bit an image; as a mapping it gives one byte an image.

    Args:
        held: evaluation -> its number of images, and their verdicts as one whole number, the first image most
            significant.
    """

    def __init__(self, held: dict[int, tuple[int, int]]) -> None:
        self._held = held

    def of(self, evaluations: Iterable[int]) -> Bits:
        """Those of some evaluations alone."""
        return Bits({number: self._held[number] for number in evaluations})

    def with_more(self, others: Bits) -> Bits:
        """These, and those of other evaluations."""
        return Bits(self._held | others._held)

    def together(self, evaluations: Sequence[int]) -> int:
        """The images that are right under every one of these evaluations, as a whole number; at least one is given."""
        return reduce(operator.and_, (self._held[number][1] for number in evaluations))

    def images(self, evaluation: int) -> int:
        """How many images the evaluation has a verdict on."""
        return self._held[evaluation][0]

    def __getitem__(self, evaluation: int) -> bytes:
        examples, bits = self._held[evaluation]
        return unpack((bits << (-examples % 8)).to_bytes((examples + 7) // 8, "big"), examples)

    def __iter__(self) -> Iterator[int]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


class PackedBlock(NamedTuple):
    """A block of an evaluation as the store has it: verdicts, margins, and classes packed; None: not kept."""

    evaluation_id: int
    start: int
    examples: int
    correct: int
    verdicts: bytes
    margins: bytes | None
    predicted: bytes | None


@dataclass(frozen=True, eq=False)
class Judgements:
    """What is kept of each image of one evaluation or several, seven bytes an image. Images of no block are wrong.

    Attributes:
        correct: ``(images,)`` bool.
        margins: ``(images,)`` float16; NaN where an older version kept none.
        predicted: ``(images,)`` int32, classes; -1 where the logits are not finite, ``NOT_KEPT`` where an older version
            kept none.
    """

    correct: np.ndarray[Any, Any]
    margins: np.ndarray[Any, Any]
    predicted: np.ndarray[Any, Any]

    @classmethod
    def of(cls, images: int) -> Self:
        """Of so many images, without any block."""
        import numpy as np

        margins, predicted = np.full(images, np.nan, np.float16), np.full(images, NOT_KEPT, np.int32)
        return cls(np.zeros(images, np.bool_), margins, predicted)

    def put(self, place: int, block: PackedBlock) -> None:
        """Unpack a block, whose first image has that place."""
        import numpy as np

        part = slice(place, place + block.examples)
        self.correct[part] = np.unpackbits(np.frombuffer(block.verdicts, np.uint8), count=block.examples)
        if block.margins is not None:
            self.margins[part] = np.frombuffer(block.margins, _MARGIN)
        if block.predicted is not None:
            self.predicted[part] = _classes(block.predicted)
