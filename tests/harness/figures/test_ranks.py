"""Rank intervals: among all rows that compete, on the training and attack seeds that all of them have."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.figures.marks import number
from harness.figures.ranks import RANKS
from harness.statistics.resampled import rank_intervals
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made


def test_intervals_are_those_of_the_verdicts(board: tuple[Store, made.Known]) -> None:
    store, known = board
    marks = RANKS.data(made.material(store, sort="pgd"))
    held = [
        [[bytes(known[m, s, "pgd", a]) for a in range(3)] for s in made.SEEDS] for m in ("sat", "trades", "standard")
    ]
    expected = rank_intervals(held, "1" * 64, "pgd")
    assert [(m["row"], m["rank"], m["low"], m["high"]) for m in marks.rows] == [
        (name, i.rank, i.low, i.high) for name, i in zip(("sat", "trades", "standard"), expected, strict=True)
    ]
    assert (marks.only("rows"), marks.only("networks"), marks.only("evaluations")) == (3, 3, 3)


def test_the_worst_case_is_right_under_every_attack(store: Store) -> None:
    known = made.fill(store, methods=["sat", "trades"], seeds=[0])
    marks = RANKS.data(made.material(store, sort="worst_case"))
    right = {
        method: bytes(map(all, zip(*(held for key, held in known.items() if key[0] == method), strict=True)))
        for method in ("sat", "trades")
    }
    expected = rank_intervals([[[right["sat"]]], [[right["trades"]]]], "1" * 64, "worst_case")
    assert [(m["rank"], m["low"], m["high"]) for m in marks.rows] == [(i.rank, i.low, i.high) for i in expected]
    assert (marks.only("over"), marks.only("evaluations")) == ("test images", 1 + 3 + 2)


def test_only_seeds_that_all_rows_have_count(store: Store) -> None:
    known = made.fill(store, methods=["sat"], seeds=[0, 1, 2])
    known |= made.fill(store, methods=["trades"], seeds=[1, 2])
    (checkpoint,) = store.run(1).checkpoints  # of a network that has no partner: one more attack seed
    stores.add_evaluation(store, checkpoint, "pgd", made.SETTINGS["pgd"], stores.right(0, 40), seed=9)
    marks = RANKS.data(made.material(store, sort="pgd"))
    held = [[[bytes(known[m, s, "pgd", a]) for a in range(3)] for s in (1, 2)] for m in ("sat", "trades")]
    expected = rank_intervals(held, "1" * 64, "pgd")
    assert [(m["rank"], m["low"], m["high"]) for m in marks.rows] == [(i.rank, i.low, i.high) for i in expected]
    assert (marks.only("networks"), marks.only("evaluations")) == (2, 3)


def test_hidden_rows_still_compete(board: tuple[Store, made.Known]) -> None:
    store, _ = board
    (whole,) = RANKS.data(made.material(store)).where(row="standard")
    (alone,) = RANKS.data(made.material(store, methods=("standard",))).rows
    assert alone == whole
    assert (alone["rank"], alone["rows"]) == (3, 3)


def test_one_row_has_no_rank(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    with pytest.raises(HarnessError, match="ranks need 2 rows"):
        RANKS.data(made.material(store))


def test_a_row_without_the_attack_is_refused(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    run = stores.start(store, stores.make_spec(method="mart", training=made.TRAINING))
    kept = stores.add_checkpoint(store, run, epoch=3)
    store.end_run(run.id)
    stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], stores.right(10, 40))
    with pytest.raises(HarnessError, match="mart: no accuracy under cw"):
        RANKS.data(made.material(store))


def test_each_interval_is_drawn_where_its_row_says(board: tuple[Store, made.Known]) -> None:
    marks = RANKS.data(made.material(board[0]))
    with made.drawn(RANKS, marks) as canvas:
        (axes,) = canvas.axes
        assert made.points(axes) == made.rounded((m["rank"], place) for place, m in enumerate(marks.rows))
        assert made.across(axes) == made.rounded((m["low"], m["high"]) for m in marks.rows)
        assert [text.get_text() for text in axes.get_yticklabels()] == marks.distinct("row")
        assert [int(tick) for tick in axes.get_xticks()] == [1, 2, int(number(marks.rows[0], "rows"))]
