"""Figures and ranks of a part of a row's networks, and equal figures that come by other sums."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from harness.figures.material import Material
from harness.figures.ranks import RANKS
from harness.leaderboard.board import Board, Selection
from harness.leaderboard.cells import heading, spread_lines
from harness.leaderboard.cost_columns import in_order
from harness.leaderboard.legend import answer
from harness.leaderboard.rank_spread import rank_line, with_rank_intervals
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import render_markdown
from harness.statistics.resampled import RankInterval
from harness.store.store import Store
from tests import stores

PGD, STRONGER, TRAINING = {"block_size": 4}, {"block_size": 4, "steps": 100}, {"epochs": 1}


@pytest.fixture
def store() -> Store:
    store = Store.read("sqlite://")  # in memory
    stores.see_protocol(store, {"pgd": PGD, "stronger": STRONGER}, TRAINING)
    return store


def fill(store: Store, rows: Mapping[str, Sequence[int]], attack: str = "pgd", images: int = 360) -> None:
    """Networks of these methods, one a training seed: how many of the images they have right."""
    for method, counts in rows.items():
        for seed, count in enumerate(counts):
            run = stores.start(store, stores.make_spec(method=method, training=TRAINING, train_seed=seed))
            kept = stores.add_checkpoint(store, run, epoch=1)
            store.end_run(run.id)
            settings = PGD if attack == "pgd" else STRONGER
            stores.add_evaluation(store, kept, attack, settings, stores.right(count, images))


def the_board(store: Store, **selected: object) -> Board:
    (found,) = boards(store, Selection(source="measured", **selected))  # type: ignore[arg-type]
    return found


def test_equal_counts_share_a_rank_whatever_they_sum_up_from(store: Store) -> None:
    assert (100 * 177 / 360 + 100 * 185 / 360) / 2 != 100 * 181 / 360, "the two sums differ in binary"
    fill(store, {"one": (177, 185), "other": (181, 181), "worse": (170, 170)})
    assert [(row.rank, row.label) for row in the_board(store, sort="pgd").rows] == [
        *((1, "one"), (1, "other"), (3, "worse"))
    ]


def test_ranks_on_the_seeds_in_common_are_told_apart(store: Store) -> None:
    fill(store, {"more": (180, 182, 262, 264, 266), "fewer": (200, 202), "last": (150, 152)})
    board = with_rank_intervals(store, the_board(store, sort="pgd"))
    assert [(row.rank, row.label) for row in board.rows] == [(1, "more"), (2, "fewer"), (3, "last")]
    line = rank_line(board)
    assert "more 1, without what is left out 2 [" in line
    assert "fewer 2, without what is left out 1 [" in line
    assert "last 3 [" in line
    assert "n = 360 and 2; left out, since not all rows have their like: networks beyond 2 a row;" in line


def test_attack_seeds_that_are_left_out_are_told_as_such(store: Store) -> None:
    """One row alone has a second and a third attack seed, which lower its median below the other's."""
    fill(store, {"one": (200,), "other": (190,)})
    checkpoint = store.run(1).checkpoints[0]
    for seed in (1, 2):
        stores.add_evaluation(store, checkpoint, "pgd", PGD, stores.right(100, 360), seed=seed)
    line = rank_line(with_rank_intervals(store, the_board(store, sort="pgd")))
    assert "n = 360; left out, since not all rows have their like: attack seeds;" in line
    assert "other 1, without what is left out 2 [" in line
    assert "network" not in line


def test_a_model_from_elsewhere_leaves_the_others_their_seeds(store: Store) -> None:
    fill(store, {"one": (180, 260, 262, 264, 266), "other": (210, 211, 212, 213, 214)})
    before = with_rank_intervals(store, the_board(store, sort="pgd"))
    facts: dict[str, Any] = {key: {} for key in ("network_settings", "network_departures", "provenance")}
    model = store.see_model("theirs", stores.DIGITS, sha256="e" * 64, network="smallcnn", parameters=9, **facts)
    stores.add_evaluation(store, model.checkpoint, "pgd", PGD, stores.right(50, 360))
    after = with_rank_intervals(store, the_board(store, sort="pgd"))
    assert after.rank_intervals[:2] == before.rank_intervals, "it is last in each resample, and the draws are the same"
    assert (after.rank_intervals[2], after.rank_unit) == (RankInterval(3, 3, 3), before.rank_unit)


def test_a_row_with_a_note_keeps_the_interval_of_its_rank(store: Store) -> None:
    fill(store, {"whole": (200, 210), "part": (250, 260)})
    attacked = Selection(source="measured", sort="pgd", columns=("pgd",))  # other row objects, as notes make them
    (board,) = boards(store, attacked)
    found = with_rank_intervals(store, board)
    assert [interval is not None for interval in found.rank_intervals] == [True, True]
    assert len(RANKS.data(Material(store=store, selection=attacked)).rows) == 2


def test_a_figure_of_some_networks_says_of_how_many(store: Store) -> None:
    fill(store, {"sat": (200, 210, 220, 230, 240)})
    for run in store.runs()[:2]:
        stores.add_evaluation(store, run.checkpoints[0], "stronger", STRONGER, stores.right(180 + run.id, 360))
    board = the_board(store)
    (spread,) = spread_lines(board)
    assert spread.startswith("sat over 5 training seeds: pgd 61.11")
    assert spread.count(" of 2 networks") == 2, "of the stronger attack, and of the worst case"
    assert board.rows[0].notes == (
        "stronger, worst case: of 2 of its 5 networks, since the others have no such figure yet",
    )
    networks = {line["attack"]: line["networks"] for line in csv.DictReader(io.StringIO(render_csv([board])))}
    assert networks == {"pgd": "5", "stronger": "2", "worst_case": "2"}


def test_rows_without_a_figure_are_not_ranked_among(store: Store) -> None:
    fill(store, {"one": (200,), "other": (210,)}, "stronger")
    fill(store, {"third": (200,), "fourth": (210,)})
    board = the_board(store, methods=("one",))
    assert "1 of 4 rows are shown, ranked among the 2 that have a figure" in heading(board)
    assert json.loads(render_json([board]))["rows"][0]["ranked_among"]["rows"] == 2


def test_markdown_names_the_best_row_though_it_is_hidden(store: Store) -> None:
    fill(store, {"best": (250, 260), "other": (100, 110)})
    board = the_board(store, sort="pgd", methods=("other",))
    assert answer(board) in render_markdown([board])
    assert "Best under pgd: best" in answer(board)


def test_latex_prints_both_intervals_that_it_explains(store: Store) -> None:
    fill(store, {"one": (250, 260), "other": (100, 110)})
    text = render_latex([the_board(store, sort="pgd")])
    assert "one over test images: pgd [65.9, 75.3]" in text  # Wilson's interval of 255 of 360
    assert "one over 2 training seeds: pgd 70.83" in text


def test_in_order_of_cost_a_row_keeps_all_of_its_lines(store: Store) -> None:
    fill(store, {"one": (250, 260, 255), "other": (100, 110, 105)})
    board = in_order(the_board(store, sort="pgd", by_seed=True), "passes", 1)
    assert [row.label for row in board.rows] == ["one"] * 3
    assert "1 of 2 rows are shown" in heading(board)


def test_the_papers_layout_says_how_many_seeds_each_row_has(store: Store) -> None:
    """It has no column for them; a caption says what all rows share."""
    fill(store, {"one": (200, 201), "other": (190,)})
    stores.add_evaluation(store, store.run(3).checkpoints[0], "pgd", PGD, stores.right(100, 360), seed=1)
    text = render_latex([the_board(store, sort="pgd")], paper=True)
    assert "n, attack seeds: 1 for one; 2 for other" in text
    assert "networks a row: 2 for one; 1 for other" in text
    ranked = render_latex([the_board(store, sort="pgd")])
    assert "n, attack seeds:" not in ranked
    assert " & n & " in ranked
