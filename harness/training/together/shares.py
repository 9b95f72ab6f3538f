"""Which rows of a batch each process has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """The rows of a batch that one process passes through the network: ``start`` to ``stop``, without ``stop``.

    Attributes:
        whole: rows of the whole batch.
        counts: False where the batch has fewer rows than there are processes, and this process has none of its own. It
            passes the first row as a stand-in, since networks refuse an empty batch; its values count nowhere.
    """

    whole: int
    start: int
    stop: int
    counts: bool = True

    @property
    def rows(self) -> int:
        """How many rows go through the network here, a stand-in included."""
        return self.stop - self.start


def sizes(whole: int, count: int) -> list[int]:
    """The rows of each process: equal, or one more for the first ones."""
    least, more = divmod(whole, count)
    return [least + (rank < more) for rank in range(count)]


def share_of(whole: int, rank: int, count: int) -> Share:
    """The share of one of ``count`` processes in a batch of at least one row."""
    each = sizes(whole, count)
    start = sum(each[:rank])
    return Share(whole, start, start + each[rank]) if each[rank] else Share(whole, 0, 1, counts=False)
