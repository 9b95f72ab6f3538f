"""What is shown of a board: hiding rows and columns changes no rank and no tie; narrowing the contest says so."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from harness.errors import SettingError, UnknownName
from harness.leaderboard.board import MEASURED, REPORTED, Board, Row, Selection
from harness.leaderboard.cells import heading
from harness.leaderboard.legend import answer
from harness.leaderboard.ranking import boards, unranked
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_json import render_json
from harness.leaderboard.showing import no_match
from tests.harness.leaderboard.golden import golden_boards, store
from tests.harness.leaderboard.held import Held, run, seeds

Key = tuple[str, str, str]


def place(row: Row) -> tuple[Key, tuple[Any, ...]]:
    return (row.label, row.arch_label, row.checkpoint), (row.rank, row.tied, row.best, row.versus_best)


def measured(selection: Selection) -> Board:
    (board,) = [board for board in boards(store(), selection) if board.source == MEASURED]
    return board


WHOLE = dict(place(row) for row in measured(Selection()).rows)


class TestHiding:
    @pytest.mark.parametrize(
        ("selection", "shown"),
        [
            (Selection(methods=("lrat",)), 2),
            (Selection(methods=("lrat floor=natural+awp", "trades")), 3),
            (Selection(top=2), 2),
            (Selection(top=1, methods=("sat",)), 1),
            (Selection(columns=("natural",)), 7),
            (Selection(columns=("worst_case", "pgd"), methods=("trades", "sat"), top=2), 2),
            (Selection(runs=frozenset({4, 5})), 2),
            (Selection(source=MEASURED, dataset="digits"), 7),
        ],
        ids=str,
    )
    def test_ranks_ties_and_tests_stay_those_of_the_whole_board(self, selection: Selection, shown: int) -> None:
        board = measured(selection)
        found = dict(map(place, board.rows))
        assert len(found) == len(board.rows) == shown
        assert found == {key: WHOLE[key] for key in found}
        assert [board.tied(row) for row in board.rows] == [
            next(measured(Selection()).tied(r) for r in measured(Selection()).rows if place(r)[0] == place(row)[0])
            for row in board.rows
        ]
        assert (f"{shown} of 7 rows are shown, ranked among the 6 that have a figure" in heading(board)) == (shown < 7)
        assert answer(board) == answer(measured(Selection()))  # the best row is named, though it is hidden

    def test_the_answer_by_hand(self) -> None:
        # of 200 images: sat early 60, 59 and 61, 60.5 % under autoattack; the others that tie differ by few images
        assert answer(measured(Selection(methods=("trades",)))) == (
            "Best under autoattack: sat (smallcnn, early), 60.12 ± 0.56 (95 % over test images: [53.2, 66.7]); ≈ tied"
            " with it: lrat floor=natural+awp (smallcnn, early), lrat floor=natural+awp (smallcnn, last), sat"
            " (smallcnn, last)."
        )

    def test_rows_of_the_last_shown_rank_are_shown_too(self) -> None:
        counts = {"a": 9, "b": 7, "c": 7, "d": 5}
        runs = [run(n, *seeds("autoattack", right), method=m) for n, (m, right) in enumerate(counts.items())]
        (board,) = boards(Held(runs), Selection(top=2))
        assert [(row.rank, row.method) for row in board.rows] == [(1, "a"), (2, "b"), (2, "c")]
        with pytest.raises(SettingError, match="--top 0 is refused: it must be 1 or more"):
            Selection(top=0)

    def test_a_hidden_column_is_in_no_format_and_still_ranks(self) -> None:
        (board,) = boards(store(), Selection(source=MEASURED, columns=("worst_case", "natural")))
        assert board.columns == ("worst_case", "natural")
        rows = json.loads(render_json([board]))["rows"]
        assert {tuple(row["metrics"]) for row in rows} == {("worst_case", "natural")}
        assert [(row["rank"], row["ranked_by"]) for row in rows][:2] == [(1, "autoattack"), (2, "autoattack")]
        lines = list(csv.DictReader(io.StringIO(render_csv([board]))))
        assert {line["attack"] for line in lines} == {"worst_case", "natural"}
        assert {line["ranked_by"] for line in lines} == {"autoattack"}

    def test_boards_without_the_columns_are_left_out(self) -> None:
        assert [board.source for board in boards(store(), Selection(columns=("autoattack",)))] == [MEASURED]
        with pytest.raises(UnknownName, match="unknown column 'autoatack'; did you mean 'autoattack'"):
            boards(store(), Selection(columns=("pgd", "autoatack")))

    def test_empty_columns_are_left_out_of_tables_and_stay_in_json(self) -> None:
        (board,) = boards(Held([run(1, *seeds("pgd", 5))]))
        assert board.filled == ("pgd",)
        assert json.loads(render_json([board]))["rows"][0]["metrics"]["autoattack"] is None

    def test_one_source(self) -> None:
        assert [board.source for board in boards(store(), Selection(source=REPORTED))] == [REPORTED]


class TestNarrowing:
    def test_a_smaller_contest_is_named(self) -> None:
        board = measured(Selection(network="smallcnn", checkpoint="last"))
        assert [(row.rank, row.method) for row in board.rows] == [(1, "lrat"), (2, "sat"), (None, "standard")]
        assert heading(board).endswith("; ranked among network smallcnn and checkpoint last alone")
        one = measured(Selection(network="smallcnn", methods=("sat",)))
        told = "; 2 of 5 rows of network smallcnn are shown, ranked among the 4 that have a figure"
        assert heading(one).endswith(told)
        document = json.loads(render_json([one]))["rows"][0]
        assert document["ranked_among"] == {"rows": 4, "network": "smallcnn", "checkpoint": None}

    def test_a_filter_that_leaves_nothing_out_changes_no_heading(self) -> None:
        (board,) = boards(store(), Selection(source=REPORTED, network="resnet18"))
        assert board.heading == heading(board)


class TestBySeed:
    def test_a_line_has_its_own_medians_and_the_ranks_of_its_row(self) -> None:
        board = measured(Selection(by_seed=True, methods=("sat",)))
        found = [(r.checkpoint, r.train_seed, r.rank, r.tied, r.runs, r.value("autoattack")) for r in board.rows]
        assert found == [
            ("early", 0, 1, False, (1,), 59.5),  # the median of 120 and 118 of 200
            ("early", 1, 1, False, (2,), 60.75),
            ("last", 0, 4, True, (1,), 55.5),
            ("last", 1, 4, True, (2,), 54.5),
        ]
        assert "2 of 7 rows are shown" in heading(board)
        assert "rank and ties are those of all training seeds together" in heading(board)
        rows = json.loads(render_json([board]))["rows"]
        assert [(row["train_seed"], row["train_seeds"]) for row in rows] == [(0, 1), (1, 1)] * 2
        lines = list(csv.DictReader(io.StringIO(render_csv([board]))))
        assert {(line["train_seed"], line["networks"]) for line in lines} == {("0", "1"), ("1", "1")}

    def test_what_has_no_training_seed_stays_one_line(self) -> None:
        everything = boards(store(), Selection(by_seed=True))
        assert [len(board.rows) for board in everything] == [9, 2]
        assert {row.train_seed for row in everything[1].rows} == {None}


class TestNoMatch:
    @pytest.mark.parametrize(
        ("selection", "said"),
        [
            (Selection(dataset="digit"), "--dataset digit; did you mean --dataset digits? there are rows for digits"),
            (Selection(dataset="x"), "--dataset x; there are rows for digits"),
            (
                Selection(dataset="digits", network="wrn"),
                "--arch wrn, after --dataset digits; there are rows for resnet18, smallcnn",
            ),
            (
                Selection(network="resnet18", checkpoint="early"),
                "--checkpoint early, after --arch resnet18; there are rows for given, last",
            ),
            (Selection(protocol="2222"), "--protocol 2222; there are rows for Someone 2020, tiny"),
            (
                Selection(source=REPORTED, methods=("sta",)),
                "--method sta, after --source reported; did you mean --method sat? there are rows for <b>_&, sat",
            ),
            (
                Selection(source=REPORTED, columns=("autoattack",)),
                "--columns autoattack, after --source reported; there are rows for natural, pgd",
            ),
        ],
        ids=str,
    )
    def test_the_first_filter_that_leaves_nothing_and_what_there_is(self, selection: Selection, said: str) -> None:
        assert boards(store(), selection) == []
        assert no_match(unranked(store()), selection) == f"no row matches {said}"

    def test_nothing_measured_yet(self) -> None:
        told = no_match(unranked(Held([])), Selection(source=MEASURED))
        assert told == (
            "no row matches --source measured: nothing is measured yet; harness run trains and attacks a first network"
        )


def test_the_golden_boards_are_these() -> None:
    assert [len(board.rows) for board in golden_boards()] == [7, 2]
