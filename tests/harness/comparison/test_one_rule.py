"""One pairing rule: a board's mark, all pairs, and a comparison of two rows make the same test of the same rows."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from harness.comparison.comparison import Comparison, compare, families, rivals
from harness.comparison.naming import Entrant
from harness.errors import HarnessError
from harness.leaderboard.board import Board, Row, Selection
from harness.leaderboard.pairs import MCNEMAR, Decision
from harness.store.store import Store
from tests.harness.comparison.kept import UNKNOWN, Kept, Put
from tests.varied import varied_store

COLUMNS = ("natural", "pgd", "worst_case")


def two_rows(store: Store, one: Row, other: Row, attack: str) -> Comparison | None:
    """What ``harness compare A B`` does with these rows; None where they cannot be compared."""
    try:
        return compare(store, Entrant("A", one.networks), Entrant("B", other.networks), attack, UNKNOWN)
    except HarnessError:
        return None


def told(found: Comparison) -> tuple[str, float, float]:
    """Test, difference, and p of the methods; where seeds have no t, of the first pair of networks."""
    t = found.methods
    if t is not None and t.p is not None:
        return t.test, t.difference, t.p
    every = found.networks[0].every
    return MCNEMAR, every.table.difference, every.p


def same(store: Store, column: str) -> Counter[str]:
    """Hold each decision of each board to the comparison of the two rows; counts the tests."""
    seen: Counter[str] = Counter()
    compared = rivals(store, Selection(sort=column))
    for (board, rows), family in zip(compared, families(store, compared), strict=True):
        pairs = list(combinations(rows, 2))
        for (one, other), decision in zip(pairs, family.pairs.values(), strict=True):
            found = two_rows(store, one, other, column)
            if found is not None and found.column != family.column:
                seen["another column"] += 1  # more images, or an attack of another protocol: not of this board
                continue
            assert (decision is None) == (found is None)
            if decision is not None and found is not None:
                assert (decision.test, decision.difference, decision.p) == told(found)
                seen[decision.test] += 1
        seen["marks"] += _marks_are_of_the_family(board, rows, list(family.pairs.values()))
    return seen


def _marks_are_of_the_family(board: Board, rows: list[Row], decisions: list[Decision | None]) -> int:
    """The best row's pairs come first, and are turned: a mark tests a row against the best one."""
    for row, decision in zip(rows[1:], decisions, strict=False):
        assert (row.versus_best is None) == (decision is None)
        if row.versus_best is not None and decision is not None:
            assert row.versus_best.test == decision.test
            assert row.versus_best.p == pytest.approx(decision.p, rel=1e-12)
            assert row.versus_best.difference == pytest.approx(-decision.difference, rel=1e-12)
    return sum(row.versus_best is not None for row in board.rows)


def drawn(put: Put, seed: int) -> None:
    """Eight rows of two networks: training seeds, attack seeds, attacks, and verdicts are drawn."""
    draw = random.Random(seed)
    for number in range(8):
        skill = draw.choice((0.4, 0.6, 0.8))
        for train_seed in draw.sample(range(5), draw.choice((1, 3, 4, 5))):
            held = {
                attack: ["".join("01"[draw.random() < skill] for _ in range(8)) for _ in range(draw.choice((2, 2, 3)))]
                for attack in ("natural", "pgd", "cw")
                if draw.random() < 0.95
            }
            network = ("smallcnn", "resnet18")[number % 2]
            put(f"method{number}", held, train_seed, network=network, first_seed=draw.choice((0, 0, 0, 0, 1)))


@pytest.mark.parametrize("seed", range(3))
def test_boards_and_comparisons_make_the_same_test_of_drawn_rows(store: Kept, put: Put, seed: int) -> None:
    drawn(put, seed)
    seen = sum((same(store, column) for column in COLUMNS), Counter())
    assert min(seen[test] for test in ("paired t", "Welch's t", MCNEMAR)) >= 3, seen
    assert (seen["another column"], seen["marks"] > 12) == (0, True)


def test_and_of_a_varied_store(tmp_path: Path) -> None:
    store = varied_store(tmp_path / "varied.db")
    seen = sum((same(store, column) for column in ("natural", "pgd", "worst_case")), Counter())
    assert seen[MCNEMAR] >= 5, seen
    store.close()
