"""The test of two rows of a board, where their figures over training seeds have a mean that means something."""

from __future__ import annotations

from harness.leaderboard.board import Row
from harness.leaderboard.columns import Column
from harness.leaderboard.pairs import MCNEMAR, Decision, compare_rows
from harness.store.verdicts import VerdictsById


def tested(first: Row, second: Row, column: Column, verdicts: VerdictsById) -> Decision | None:
    """As ``compare_rows``; None, too, for a t-test over training seeds if a network of either row is at chance.

    Of figures such as 48, 46, and 3 the t-test shows no difference from nearly anything: the row would seem tied.
    """
    found = compare_rows(first.networks, second.networks, column, verdicts)
    spoilt = any(row.failed is not None and row.failed.spoils_means for row in (first, second))
    return None if found is not None and found.test != MCNEMAR and spoilt else found
