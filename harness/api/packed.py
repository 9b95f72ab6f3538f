"""Columns that need little memory: a value that many rows share, and positions that count from 0."""

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
