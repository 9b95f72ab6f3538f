"""Rank intervals beside the ranks of a board: those of the figure, for the rows that are shown."""

from __future__ import annotations

import json

import pytest

from harness.figures.marks import number
from harness.figures.ranks import RANKS
from harness.leaderboard import rank_spread
from harness.leaderboard.board import Board, Selection
from harness.leaderboard.rank_spread import rank_line, with_rank_intervals
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import render_json
from harness.statistics.resampled import RankInterval
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made


def measured(store: Store, **selected: object) -> Board:
    (found,) = boards(store, Selection(source="measured", **selected))  # type: ignore[arg-type]
    return with_rank_intervals(store, found)


def test_they_are_those_of_the_figure(board: tuple[Store, made.Known]) -> None:
    store, _ = board
    found = measured(store, sort="pgd")
    rows = RANKS.data(made.material(store, sort="pgd")).rows
    marks = {str(m["row"]): RankInterval(*(int(number(m, name)) for name in ("rank", "low", "high"))) for m in rows}
    assert {row.label: i for row, i in zip(found.rows, found.rank_intervals, strict=True)} == marks
    assert found.rank_unit == "test images and training seeds"
    told = ", ".join(f"{row} {i.rank} [{i.low}, {i.high}]" for row, i in marks.items())
    n = len(made.SEEDS)
    over = f"95 %, over test images and training seeds, n = 40 and {n}"
    assert rank_line(found) == f"rank [{over}; the same are drawn for all rows]: {told}"
    documents = json.loads(render_json([found]))["rows"]
    for document in documents:
        interval = document["rank_interval"]
        assert RankInterval(document["rank"], interval["low"], interval["high"]) == marks[document["method"]]
        assert (interval["kind"], interval["level"], interval["unit"]) == ("bootstrap", 0.95, found.rank_unit)


def test_hidden_rows_still_compete(board: tuple[Store, made.Known]) -> None:
    store, _ = board
    whole, alone = measured(store), measured(store, methods=("standard",))
    assert alone.rank_intervals == whole.rank_intervals[-1:]
    assert rank_line(alone).endswith(f"standard 3 [{alone.rank_intervals[0].low}, 3]")  # type: ignore[union-attr]


def test_a_row_without_a_rank_does_not_compete(store: Store) -> None:
    made.fill(store, methods=["sat", "trades"], seeds=[0, 1])
    before = measured(store)
    run = stores.start(store, stores.make_spec(method="mart", training=made.TRAINING))
    kept = stores.add_checkpoint(store, run, epoch=3)
    store.end_run(run.id)
    stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], stores.right(10, 40))
    found = measured(store)
    assert found.rank_intervals == (*before.rank_intervals, None)
    assert json.loads(render_json([found]))["rows"][-1]["rank_interval"] is None


def test_what_has_none_says_why(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    alone = measured(store)
    assert rank_line(alone) == "no intervals of ranks: ranks need 2 rows that compete; there is 1"
    assert "rank_interval" not in render_json([alone])
    made.fill(store, methods=["trades"], seeds=[0])
    assert measured(store).rank_intervals
    assert rank_line(measured(store, by_seed=True)) == ""
    monkeypatch.setattr(rank_spread, "MOST_VERDICTS", 100)
    assert "would take long; `harness figures ranks` computes them" in rank_line(measured(store))


def test_nobody_asked(board: tuple[Store, made.Known]) -> None:
    (found,) = boards(board[0], Selection(source="measured"))
    assert rank_line(found) == ""
    assert "rank_interval" not in render_json([found])
