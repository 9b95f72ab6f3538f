"""Ranks, which rows are asked for, and rows that are tied with the best."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy import stats

from harness.errors import UnknownName
from harness.leaderboard.board import Selection
from harness.leaderboard.ranking import boards
from harness.reference import ReportedFigure
from harness.statistics.figures import Figure
from harness.store.records import ProtocolRecord, RunRecord
from tests.harness.leaderboard.held import (
    ATTACKS,
    DIGITS,
    PROTOCOL,
    Held,
    all_rows,
    checkpoint,
    close,
    evaluation,
    median,
    right,
    run,
)
from tests.tiny import PROTOCOL_DOCUMENT


class TestRanks:
    @pytest.fixture
    def store(self) -> Held:
        counts: dict[str, tuple[int, int | None]] = {  # pgd, autoattack
            "weak": (199, 100),
            "tied-b": (150, 140),
            "tied-a": (150, 140),
            "unfinished": (180, None),
            "best": (100, 160),
            "also-unfinished": (170, None),
        }
        return Held(
            [
                run(
                    number,
                    evaluation("pgd", pgd),
                    *([] if autoattack is None else [evaluation("autoattack", autoattack)]),
                    method=method,
                )
                for number, (method, (pgd, autoattack)) in enumerate(counts.items())
            ]
        )

    def test_by_the_last_column_with_ties_and_missing_figures_last(self, store: Held) -> None:
        assert [(row.rank, row.method) for _, row in all_rows(store)] == [
            (1, "best"),
            (2, "tied-a"),
            (2, "tied-b"),
            (4, "weak"),
            (None, "also-unfinished"),
            (None, "unfinished"),
        ]

    def test_by_another_column(self, store: Held) -> None:
        assert [(row.rank, row.method) for _, row in all_rows(store, Selection(sort="pgd"))] == [
            (1, "weak"),
            (2, "unfinished"),
            (3, "also-unfinished"),
            (4, "tied-a"),
            (4, "tied-b"),
            (6, "best"),
        ]

    def test_a_column_that_no_board_has(self, store: Held) -> None:
        with pytest.raises(UnknownName, match="unknown column 'autoatack'; did you mean 'autoattack'"):
            boards(store, Selection(sort="autoatack"))

    def test_a_board_without_the_column_is_ranked_by_its_last(self, store: Held) -> None:
        figures = [
            ReportedFigure("Someone 2020", "1", "digits", "smallcnn", method, "last", "cw", percent, 0.1, "")
            for method, percent in (("low", 40.0), ("high", 50.0))
        ]
        (_, reported) = boards(Held(store.runs(), reported=figures), Selection(sort="pgd"))
        assert [(row.rank, row.method) for row in reported.rows] == [(1, "high"), (2, "low")]

    def test_ranks_are_among_the_rows_that_are_shown(self) -> None:
        runs = [run(1, evaluation("pgd", 190), network="resnet18"), run(2, evaluation("pgd", 150))]
        (board,) = boards(Held(runs), Selection(network="smallcnn", sort="pgd"))
        assert [(row.network, row.rank) for row in board.rows] == [("smallcnn", 1)]

    def test_zero_per_cent_is_a_figure(self) -> None:
        ((_, row),) = all_rows(Held([run(1, evaluation("autoattack", 0))]))
        assert (row.rank, row.metrics["autoattack"]) == (1, Figure(0.0, None, 1))


class TestSelection:
    @pytest.fixture
    def store(self) -> Held:
        other = ProtocolRecord("2" * 64, "other", "training-b", ATTACKS, PROTOCOL_DOCUMENT)
        early = checkpoint(evaluation("pgd", 150), name="early", epoch=6)
        letters = replace(DIGITS, name="letters", fingerprint="e" * 64)
        runs = [
            run(1, early, evaluation("pgd", 140)),
            run(2, evaluation("pgd", 130), network="resnet18"),
            run(3, evaluation("pgd", 120), dataset=letters),
            run(4, evaluation("pgd", 110), training_sha256="training-b"),
        ]
        figure = ReportedFigure("Someone 2020", "1", "digits", "resnet18", "sat", "early", "pgd", 75.0, 0.1, "")
        return Held(runs, [PROTOCOL, other], [figure])

    @pytest.mark.parametrize(
        ("selection", "medians"),
        [
            (Selection(), [55.0, 60.0, 65.0, 70.0, 75.0, 75.0]),
            (Selection(dataset="digits"), [55.0, 65.0, 70.0, 75.0, 75.0]),
            (Selection(dataset="letters"), [60.0]),
            (Selection(network="resnet18"), [65.0, 75.0]),
            (Selection(checkpoint="early"), [75.0, 75.0]),
            (Selection(protocol="tiny"), [60.0, 65.0, 70.0, 75.0]),
            (Selection(protocol="2222"), [55.0]),
            (Selection(protocol="Someone 2020"), [75.0]),
            (Selection(runs=frozenset({2, 4})), [55.0, 65.0]),
            (Selection(dataset="digits", network="smallcnn", checkpoint="last", protocol="tiny"), [70.0]),
            (Selection(dataset="nothing"), []),
        ],
        ids=str,
    )
    def test_takes_what_is_asked_for(self, store: Held, selection: Selection, medians: list[float]) -> None:
        assert sorted(median(row, "pgd") or -1.0 for _, row in all_rows(store, selection)) == medians
        assert all(board.rows for board in boards(store, selection))


def many(method: str, first: int, *counts: int) -> list[RunRecord]:
    """Networks of one method, trained from seeds 0, 1, …, with these many of 200 images right under AutoAttack."""
    return [
        run(first + seed, evaluation("autoattack", count), method=method, train_seed=seed)
        for seed, count in enumerate(counts)
    ]


class TestTies:
    def test_by_training_seeds_where_both_have_two_or_more(self) -> None:
        runs = [*many("best", 0, 150, 152, 157), *many("near", 10, 149, 155, 151), *many("far", 20, 100, 103, 106)]
        best, near, far = (row for _, row in all_rows(Held(runs)))
        # near - best: -0.5, +1.5, -3 points
        ours, theirs = [75.0, 76.0, 78.5], [74.5, 77.5, 75.5]
        p_near = stats.ttest_rel(theirs, ours).pvalue
        p_far = stats.ttest_rel([50.0, 51.5, 53.0], ours).pvalue
        assert (best.versus_best, best.tied) == (None, False)
        assert near.versus_best is not None
        assert far.versus_best is not None
        assert (near.versus_best.test, near.versus_best.n, near.tied) == ("paired t", 3, True)
        assert (near.versus_best.p, near.versus_best.p_holm) == (close(p_near), close(p_near))
        assert (far.versus_best.p, far.versus_best.p_holm, far.tied) == (close(p_far), close(2 * p_far), False)
        assert near.versus_best.difference == close(-2 / 3)

    def test_by_images_where_a_row_has_one_network(self) -> None:
        runs = [run(1, *right("autoattack", "1" * 30 + "0" * 10), method="best")]
        runs.append(run(2, *right("autoattack", "1" * 28 + "0" * 12), method="near"))
        runs.append(run(3, *right("autoattack", "1" * 15 + "0" * 25), method="far"))
        _, near, far = (row for _, row in all_rows(Held(runs)))
        assert near.versus_best is not None
        assert far.versus_best is not None
        assert (near.versus_best.test, near.versus_best.n) == ("McNemar", 40)
        assert (near.versus_best.p, near.versus_best.p_holm, near.tied) == (2 / 2**2, 0.5, True)
        assert (far.versus_best.p, far.versus_best.p_holm, far.tied) == (2 / 2**15, 4 / 2**15, False)
        assert (near.versus_best.difference, far.versus_best.difference) == (-5.0, -37.5)

    def test_images_count_under_every_attack_seed_that_both_have(self) -> None:
        # under seed 0 alone the two differ on 8 images one way; both seeds break the same images of the best too
        best = right("autoattack", "1" * 40, "1" * 40)
        other = right("autoattack", "1" * 32 + "0" * 8)
        _, row = (row for _, row in all_rows(Held([run(1, *best, method="best"), run(2, *other, method="other")])))
        assert row.versus_best is not None
        assert row.versus_best.p == 2 / 2**8
        assert row.versus_best.difference == -20.0
        unlike = [replace(e, seed=7) for e in other]
        _, row = (row for _, row in all_rows(Held([run(1, *best, method="best"), run(2, *unlike, method="other")])))
        assert (row.versus_best, row.tied) == (None, False)  # no seed in common: nothing is tested

    def test_where_all_seeds_differ_alike_the_images_decide(self) -> None:
        _, row = (row for _, row in all_rows(Held([*many("best", 0, 150, 151), *many("other", 9, 149, 150)])))
        assert row.versus_best is not None
        assert (row.versus_best.test, row.versus_best.p, row.tied) == ("McNemar", 1.0, True)

    def test_equal_rows_are_tied(self) -> None:
        _, row = (row for _, row in all_rows(Held([*many("a", 0, 150, 151), *many("b", 9, 150, 151)])))
        assert row.versus_best is not None
        assert (row.rank, row.versus_best.test, row.versus_best.p, row.tied) == (1, "paired t", 1.0, True)

    def test_by_the_column_that_ranks(self) -> None:
        def whole(number: int, method: str, pgd: int, autoattack: int) -> RunRecord:
            return run(number, evaluation("pgd", pgd), evaluation("autoattack", autoattack), method=method)

        store = Held([whole(1, "a", 150, 100), whole(2, "b", 100, 101)])
        assert {row.method: row.tied for _, row in all_rows(store)} == {"a": True, "b": False}
        assert {row.method: row.tied for _, row in all_rows(store, Selection(sort="pgd"))} == {"a": False, "b": False}

    def test_rows_without_a_figure_and_reported_rows_are_not_compared(self) -> None:
        figure = ReportedFigure("Someone 2020", "1", "digits", "smallcnn", "sat", "last", "pgd", 75.0, 0.1, "")
        runs = [run(1, evaluation("autoattack", 150)), run(2, evaluation("pgd", 150), method="lrat")]
        found = all_rows(Held(runs, reported=[figure, replace(figure, method="lrat")]))
        assert [(row.method, board.tied(row)) for board, row in found] == [
            ("sat", False),
            ("lrat", None),
            ("lrat", None),
            ("sat", None),
        ]
        assert all(row.versus_best is None for _, row in found)
