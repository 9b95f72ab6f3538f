"""Columns that need little memory: a value that many rows share, positions, numbers of which some are missing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np


class Packed(Sequence[Any]):
    """Rows in groups that follow each other.

    Args:
        counts: how many rows each group has.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._ends = list(accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        row = place + len(self) if place < 0 else place
        if not 0 <= row < len(self):
            raise IndexError(place)
        group = bisect_right(self._ends, row)
        return self._of(group, row - (self._ends[group - 1] if group else 0))

    def _of(self, group: int, row: int) -> Any:
        """The value in a row of a group."""
        raise NotImplementedError

    def counts(self) -> list[int]:
        """How many rows each group has."""
        return [end - start for start, end in zip([0, *self._ends], self._ends, strict=False)]


class Repeated(Packed):
    """One value for each group."""

    def __init__(self, values: Sequence[Any], counts: Sequence[int]) -> None:
        super().__init__(counts)
        self.values = list(values)

    def _of(self, group: int, row: int) -> Any:
        return self.values[group]


class Positions(Packed):
    """In each group the numbers from 0."""

    def _of(self, group: int, row: int) -> int:
        return row

    def array(self) -> np.ndarray[Any, Any]:
        """All of them, int32."""
        import numpy as np

        counts = np.asarray(self.counts(), np.int64)
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        return (np.arange(len(self), dtype=np.int64) - starts).astype(np.int32)


class PartlyMissing(Sequence[Any]):
    """Whole numbers in an array, one of which stands for a value that is missing.

    Args:
        numbers: ``(rows,)`` of an integer type.
        missing: the number that stands for None.
    """

    def __init__(self, numbers: np.ndarray[Any, Any], missing: int) -> None:
        self.numbers, self.missing = numbers, missing

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> int | None: ...
    @overload
    def __getitem__(self, place: slice) -> PartlyMissing: ...
    def __getitem__(self, place: int | slice) -> int | PartlyMissing | None:
        if isinstance(place, slice):
            return PartlyMissing(self.numbers[place], self.missing)
        number = int(self.numbers[place])
        return None if number == self.missing else number

    def gaps(self) -> np.ndarray[Any, Any]:
        """``(rows,)`` bool: where a value is missing."""
        there: np.ndarray[Any, Any] = self.numbers == self.missing
        return there

    def array(self) -> np.ndarray[Any, Any]:
        """The numbers; an array of objects if a value is missing."""
        gaps = self.gaps()
        if not gaps.any():
            return self.numbers
        filled = self.numbers.astype(object)
        filled[gaps] = None
        return filled
