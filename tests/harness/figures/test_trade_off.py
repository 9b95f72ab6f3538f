"""Natural against robust accuracy: the numbers of the board, each at its place, each name beside its mark."""

from __future__ import annotations

import itertools
import sqlite3
import statistics
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.figures.marks import number
from harness.figures.trade_off import TRADE_OFF
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made

COUNTS = """
    SELECT runs.method, evaluations.attack, runs.id, 100.0 * SUM(blocks.correct) / evaluations.examples
    FROM evaluations JOIN checkpoints ON checkpoints.id = evaluations.checkpoint_id
    JOIN runs ON runs.id = checkpoints.run_id JOIN blocks ON blocks.evaluation_id = evaluations.id
    GROUP BY evaluations.id
"""


def test_means_are_those_of_the_tables(tmp_path: Path) -> None:
    store = Store.write(str(tmp_path / "board.db"))
    made.fill(store, seeds=(0, 1))
    marks = TRADE_OFF.data(made.material(store, sort="pgd"))
    store.close()
    with sqlite3.connect(tmp_path / "board.db") as database:
        counted = list(database.execute(COUNTS))
    for row in marks.rows:
        for column, attack in (("natural_value", "natural"), ("robust_value", "pgd")):
            held = sorted(
                (run, value) for method, name, run, value in counted if (method, name) == (row["row"], attack)
            )
            networks = [
                statistics.median(v for _, v in group) for _, group in itertools.groupby(held, lambda pair: pair[0])
            ]
            assert row[column] == pytest.approx(statistics.fmean(networks))


def test_marks_stand_where_the_rows_say_and_have_their_names(board: tuple[Store, made.Known]) -> None:
    store, _ = board
    marks = TRADE_OFF.data(made.material(store, methods=("sat", "trades")))
    assert marks.distinct("row") == ["sat", "trades"]
    with made.drawn(TRADE_OFF, marks) as canvas:
        (axes,) = canvas.axes
        expected = [(row["natural_value"], row["robust_value"]) for row in marks.rows]
        assert made.points(axes) == made.rounded(expected)
        assert made.across(axes) == made.rounded((row["natural_low"], row["natural_high"]) for row in marks.rows)
        assert made.upright(axes) == made.rounded((row["robust_low"], row["robust_high"]) for row in marks.rows)
        assert [text.get_text() for text in axes.texts if text.get_text()] == ["sat", "trades"]
        assert axes.get_ylabel() == "accuracy under cw, %"


def test_a_network_without_robustness_is_named_with_its_value(board: tuple[Store, made.Known]) -> None:
    store, _ = board
    marks = TRADE_OFF.data(made.material(store))
    (standard,) = marks.where(row="standard")
    with made.drawn(TRADE_OFF, marks) as canvas:
        (axes,) = canvas.axes
        assert len(made.points(axes)) == 2
        assert f"standard: {number(standard, 'robust_value'):.1f}" in [text.get_text() for text in axes.texts]


def test_natural_accuracy_is_no_robust_accuracy(board: tuple[Store, made.Known]) -> None:
    store, _ = board
    with pytest.raises(HarnessError, match="give --attack pgd"):
        TRADE_OFF.data(made.material(store, sort="natural"))


def test_the_caption_speaks_of_the_intervals_of_both_axes(store: Store) -> None:
    """Natural accuracy of three networks, of which one was attacked: one interval is over seeds, one over images."""
    stores.see_protocol(store, made.SETTINGS, made.TRAINING)
    for seed in range(3):
        run = stores.start(store, stores.make_spec(training=made.TRAINING, train_seed=seed))
        kept = stores.add_checkpoint(store, run, epoch=3)
        store.end_run(run.id)
        for attack in ("natural", "pgd" if seed == 0 else "cw"):
            stores.add_evaluation(store, kept, attack, made.SETTINGS[attack], stores.right(30 + seed, 40))
    marks = TRADE_OFF.data(made.material(store, sort="pgd"))
    (row,) = marks.rows
    assert (row["natural_over"], row["robust_over"]) == ("training seeds", "test images")
    with made.drawn(TRADE_OFF, marks) as canvas:
        caption = canvas.get_supxlabel().replace("\n", " ")
    assert caption.endswith("95 % intervals over 3 training seeds or 40 test images")
