"""The shares of a batch: every row once, in order, and as equal as can be."""

from __future__ import annotations

import pytest

from harness.training.together.shares import Share, share_of, sizes


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("whole", [1, 2, 3, 16, 17, 128])
def test_every_row_is_in_one_share(whole: int, count: int) -> None:
    shares = [share_of(whole, rank, count) for rank in range(count)]
    rows = [row for share in shares if share.counts for row in range(share.start, share.stop)]
    assert rows == list(range(whole))
    assert sizes(whole, count) == [share.rows if share.counts else 0 for share in shares]
    assert max(sizes(whole, count)) - min(sizes(whole, count)) <= 1


def test_a_process_without_a_row_passes_the_first_one_which_does_not_count() -> None:
    assert share_of(2, 3, 4) == Share(2, 0, 1, counts=False)
    assert share_of(2, 1, 4) == Share(2, 1, 2)
