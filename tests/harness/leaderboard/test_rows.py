"""Rows on hand-made records: figures by hand, attempts, and what shares a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.statistics.figures import Figure
from tests.harness.leaderboard.held import ATTACKS, Held, all_rows, checkpoint, close, evaluation, median, run, seeds


class TestFigures:
    def test_by_hand(self) -> None:
        # 150, 152, 157 of 200 are 75, 76, 78.5 %: mean 76.5, variance (2.25 + 0.25 + 4) / 2
        store = Held([run(7, evaluation("natural", 190), *seeds("pgd", 150, 157, 152))])
        (board,) = boards(store)
        assert (board.dataset, board.source, board.protocol) == ("digits", MEASURED, "tiny")
        assert (board.fingerprint, board.examples, board.columns) == ("1" * 64, 200, (*ATTACKS, "worst_case"))
        (row,) = board.rows
        assert row.metrics["natural"] == Figure(95.0, None, 1)
        assert row.metrics["pgd"] == Figure(76.0, close(3.25**0.5), 3)
        assert row.metrics["autoattack"] is None
        assert (row.method, row.network, row.checkpoint, row.train_seeds, row.runs) == (
            "sat",
            "smallcnn",
            "last",
            1,
            (7,),
        )

    def test_what_departs_from_defaults_is_in_the_labels(self) -> None:
        departing = run(
            1,
            evaluation("pgd", 1),
            method="lrat",
            method_settings={"kappa": 5.0, "minimum": 0.1},
            method_departures={"kappa": 5.0},
            wrappers=[{"name": "awp", "settings": {"gamma": 0.01, "warm": 1}, "departures": {"gamma": 0.01}}],
            network_settings={"width": 4},
            network_departures={"width": 4},
        )
        ((_, row),) = all_rows(Held([departing]))
        assert (row.settings, row.network_settings) == ({"kappa": 5.0}, {"width": 4})
        assert (row.label, row.arch_label) == ("lrat kappa=5.0+awp gamma=0.01", "smallcnn width=4")

    def test_an_incomplete_evaluation_does_not_count(self) -> None:
        half = evaluation("autoattack", 100, done=199)
        ((_, row),) = all_rows(Held([run(1, evaluation("pgd", 150), half)]))
        assert row.metrics["autoattack"] is None
        assert boards(Held([run(1, half)])) == []

    def test_a_seed_whose_evaluation_is_incomplete_does_not_count(self) -> None:
        ((_, row),) = all_rows(Held([run(1, *seeds("pgd", 150, 160), evaluation("pgd", 0, seed=2, done=10))]))
        assert row.metrics["pgd"] == Figure(77.5, close(12.5**0.5), 2)

    @pytest.mark.parametrize("status", ["running", "failed"])
    def test_a_run_that_is_not_done_has_no_row(self, status: str) -> None:
        assert boards(Held([run(1, evaluation("pgd", 150), status=status)])) == []


class TestAttempts:
    def test_the_newest_that_is_done_counts(self) -> None:
        first = run(1, evaluation("pgd", 100), identity="same")
        second = run(2, evaluation("pgd", 120), identity="same", attempt=2)
        third = run(3, evaluation("pgd", 140), identity="same", attempt=3)
        assert [row.runs for _, row in all_rows(Held([first, second, third]))] == [(3,)]
        for status in ("running", "failed"):
            ((_, row),) = all_rows(Held([first, second, replace(third, status=status)]))
            assert (row.runs, median(row, "pgd")) == ((2,), 60.0)

    def test_a_newer_attempt_without_figures_is_not_filled_up_from_an_older(self) -> None:
        first = run(1, evaluation("pgd", 100), evaluation("natural", 190), identity="same")
        second = run(2, evaluation("natural", 180), identity="same", attempt=2)
        ((_, row),) = all_rows(Held([first, second]))
        assert (median(row, "natural"), row.metrics["pgd"]) == (90.0, None)


class TestRows:
    def test_train_seeds_share_a_row_and_their_spread_is_told_apart(self) -> None:
        runs = [run(i, *seeds("pgd", *counts), train_seed=i) for i, counts in enumerate([(100, 110), (120, 120)])]
        ((_, row),) = all_rows(Held(runs))
        figure = row.metrics["pgd"]
        assert (row.train_seeds, row.runs) == (2, (0, 1))
        assert figure is not None
        assert figure.median == 56.25  # of 52.5 and 60
        assert figure.train is not None
        assert (figure.train.mean, figure.train.n) == (56.25, 2)

    @pytest.mark.parametrize(
        "difference",
        [
            {"method": "lrat"},
            {"method_settings": {"kappa": 5.0}},
            {"wrappers": [{"name": "awp", "settings": {}, "departures": {}}]},
            {"network": "resnet18"},
            {"network_settings": {"width": 32}},
        ],
        ids=str,
    )
    def test_other_differences_make_other_rows_of_the_same_board(self, difference: dict[str, Any]) -> None:
        (board,) = boards(Held([run(1, evaluation("pgd", 1)), run(2, evaluation("pgd", 1), **difference)]))
        assert [row.runs for row in board.rows] in ([(1,), (2,)], [(2,), (1,)])

    @pytest.mark.parametrize("epoch", [6, 10])  # where the training is one epoch long, both are taken after it
    def test_checkpoints_are_rows_of_their_own(self, epoch: int) -> None:
        early = checkpoint(evaluation("pgd", 150), name="early", epoch=epoch)
        last = checkpoint(evaluation("pgd", 140), name="last", epoch=10)
        (board,) = boards(Held([run(1, early, last)]))
        assert [(row.checkpoint, median(row, "pgd")) for row in board.rows] == [("early", 75.0), ("last", 70.0)]
