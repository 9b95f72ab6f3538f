"""The comparisons of the page are those of ``harness compare``; the Pareto front and the costs are by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from harness.comparison.comparison import compare, families, rivals
from harness.comparison.naming import Where, find_two
from harness.comparison.vulnerable import networks_agree
from harness.events import EpochRecord
from harness.leaderboard.board import Selection
from harness.leaderboard.ranking import boards
from harness.site import comparisons
from harness.site.comparisons import comparison_documents, pareto_front
from harness.site.snapshot import Snapshot
from tests.first_board import FIRST_BOARD
from tests.harness.leaderboard.held import Held, evaluation, run


@pytest.fixture(scope="module")
def store() -> Any:
    store = Snapshot.of(str(FIRST_BOARD))
    yield store
    store.close()


@pytest.fixture(scope="module")
def found(store: Snapshot) -> dict[str, Any]:
    return comparison_documents(store, boards(store))[0]


@pytest.mark.parametrize("name", ["natural", "pgd", "autoattack", "worst_case"])
def test_the_tests_are_those_of_all_pairs(store: Snapshot, found: dict[str, Any], name: str) -> None:
    ranked = boards(store)[0]
    labels = [row.label for row in ranked.rows]
    family = next(
        f
        for f in families(store, rivals(store, Selection(dataset="digits", sort=name)))
        if f.board.columns == ranked.columns
    )
    there = found["columns"][ranked.columns.index(name)]["pairs"]
    assert len(there) == len(family.pairs) == 21
    for (i, j), pair in zip(combinations(range(7), 2), there, strict=True):
        decision, turn = family.pairs.get((labels[i], labels[j])), 1
        if decision is None:
            decision, turn = family.pairs[labels[j], labels[i]], -1
        assert decision is not None
        difference, interval, test, n, unit, holm, significant, counts = pair
        assert (test, n, unit, significant) == (decision.test, decision.n, decision.unit, decision.significant)
        assert counts is decision.counts is None  # all rows have the same network and seeds
        assert difference == pytest.approx(turn * decision.difference, abs=1e-9)
        assert holm == pytest.approx(decision.p_holm, rel=1e-9)
        assert (interval is None) == (decision.interval is None)


def test_the_tables_and_the_overlap_are_those_of_two_rows(store: Snapshot, found: dict[str, Any]) -> None:
    ranked = boards(store)[0]
    assert [row.label for row in ranked.rows[:2]] == ["sat", "lrat"]
    sides = find_two(store, "sat", "lrat", Where(dataset="digits"))
    at = ranked.columns.index("pgd")
    expected = compare(store, *sides, "pgd", "no labels")
    tables = found["columns"][at]["tables"][0]
    assert len(tables) == 5
    for table, network in zip(tables, expected.networks, strict=True):
        every = network.every
        counts = [every.table.both, every.table.first_only, every.table.second_only, every.table.neither]
        assert table == [network.first.train_seed, network.second.train_seed, *counts, every.p]
    sets = networks_agree(store, *sides, "pgd")[0].seeds[0].sets
    assert found["columns"][at]["overlaps"][0] == [sets.shared, 72, 360, sets.overlap, sets.jaccard]
    assert found["columns"][ranked.columns.index("worst_case")]["overlaps"] is None


def test_a_large_board_is_compared_up_to_its_best_rows(store: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparisons, "MOST_ROWS", 3)
    (few,) = comparison_documents(store, boards(store))[:1]
    assert (few["rows"], few["of"], len(few["columns"][0]["pairs"])) == (3, 7, 3)
    assert len(few["costs"]) == 7


class Old(Held):
    """A store of a version that did not keep the vulnerability of each image."""

    def margins(self, evaluation_id: int) -> list[float] | None:
        return None


def board_of(*figures: tuple[int, int], **changes: Any) -> Held:
    methods = [f"m{place}" for place in range(len(figures))]
    return Old(
        [
            run(n, evaluation("natural", natural), evaluation("autoattack", robust), method=method, **changes)
            for n, (method, (natural, robust)) in enumerate(zip(methods, figures, strict=True), 1)
        ]
    )


def test_the_front_has_the_rows_that_no_other_row_beats() -> None:
    figures = [(150, 100), (160, 90), (150, 90), (160, 90), (100, 101), (140, 100)]
    (board,) = boards(board_of(*figures))
    front = {board.rows[place].method for place in pareto_front(board.rows, "autoattack")}
    assert front == {"m0", "m1", "m3", "m4"}  # m1 and m3 are equal; m2 and m5 are beaten in one and equal in the other


def test_a_cost_ends_at_the_checkpoint_and_machines_are_told_apart() -> None:
    epochs = tuple(EpochRecord(n, 1.0, 0.1, 100, float(n)) for n in range(1, 13))  # 55 s up to epoch 10
    store = board_of((150, 100), (150, 90), epochs=epochs, provenance={"device": "cpu", "host": "a", "threads": 2})
    (found,) = comparison_documents(store, boards(store))
    assert found["costs"] == [[55.0, "cpu a 2 threads"]] * 2
    (board,) = boards(store)
    best = replace(board, rows=tuple(replace(row, checkpoint="best") for row in board.rows))
    assert comparison_documents(store, [best])[0]["costs"] == [[78.0, "cpu a 2 threads"]] * 2  # of all epochs
    store.runs()[0] = replace(store.runs()[0], provenance={"device": "cuda", "host": "a", "also": [{"device": "cpu"}]})
    (found,) = comparison_documents(store, boards(store))
    assert [machine for _, machine in found["costs"]] == ["several machines", "cpu a 2 threads"]


def test_without_vulnerabilities_there_is_no_overlap() -> None:
    store = board_of((150, 100), (150, 90))
    (found,) = comparison_documents(store, boards(store))
    assert [column["overlaps"] for column in found["columns"]] == [None, [None], [None], None]


def test_a_board_of_one_row_is_not_compared() -> None:
    store = board_of((150, 100))
    assert comparison_documents(store, boards(store)) == []


def test_a_missing_file_compares_nothing(tmp_path: Path) -> None:
    store = Snapshot.of(str(tmp_path / "missing.db"))
    assert comparison_documents(store, boards(store)) == []
    store.close()
    assert list(tmp_path.iterdir()) == []
