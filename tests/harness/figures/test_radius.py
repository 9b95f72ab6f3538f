"""Robust accuracy against the radius: what was measured in each ball, of networks that were measured in all."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.figures.marks import Marks
from harness.figures.radius import RADIUS
from harness.figures.style import look_of
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made


def in_ball(epsilon: float, **changes: Any) -> dict[str, Any]:
    return made.SETTINGS["pgd"] | {"epsilon": epsilon, "step_size": epsilon / 4} | changes


def sweep(store: Store, radii: dict[float, int], *, run: int = 1, **changes: Any) -> None:
    """Add an evaluation of a run in each ball, with so many images right."""
    (checkpoint,) = store.run(run).checkpoints
    for epsilon, correct in radii.items():
        settings = in_ball(epsilon, **changes)
        stores.add_evaluation(store, checkpoint, "pgd", settings, stores.right(correct, made.IMAGES))


def test_points_are_the_natural_accuracy_the_boards_and_those_of_the_sweep(store: Store) -> None:
    known = made.fill(store, methods=["sat"], seeds=[0])
    sweep(store, {0.1: 36, 0.4: 4})
    marks = RADIUS.data(made.material(store))
    on_board = statistics.median(sum(known["sat", 0, "pgd", seed]) for seed in range(3))
    expected = {0.0: sum(known["sat", 0, "natural", 0]), 0.1: 36, 0.2: on_board, 0.4: 4}
    assert [m["radius"] for m in marks.rows] == list(expected)
    assert [m["value"] for m in marks.rows] == pytest.approx([100 * count / 40 for count in expected.values()])
    assert (marks.only("attack"), marks.only("over"), marks.only("n")) == ("pgd", "test images", 40)


def test_each_point_is_of_the_same_networks(store: Store) -> None:
    made.fill(store, methods=["sat"])  # three networks, of which one was not swept, and one at fewer radii
    sweep(store, {0.1: 30, 0.3: 20, 0.4: 10}, run=1)
    sweep(store, {0.1: 40, 0.4: 14}, run=2)
    marks = RADIUS.data(made.material(store))
    assert [m["radius"] for m in marks.rows] == [0.0, 0.1, 0.2, 0.4]
    assert [m["n"] for m in marks.rows] == [2] * 4
    assert [m["value"] for m in marks.where(radius=0.1)] == pytest.approx([100 * 35 / 40])
    assert [m["value"] for m in marks.where(radius=0.4)] == pytest.approx([100 * 12 / 40])


def test_other_settings_make_no_point_of_the_curve(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    sweep(store, {0.1: 36, 0.4: 4})
    sweep(store, {0.1: 1, 0.15: 2, 0.3: 3}, steps=100)  # the board's 20 steps go first
    marks = RADIUS.data(made.material(store))
    assert [m["radius"] for m in marks.rows] == [0.0, 0.1, 0.2, 0.4]
    assert [m["value"] for m in marks.where(radius=0.1)] == [90.0]


def test_two_settings_that_are_both_not_the_boards_are_refused(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    sweep(store, {0.1: 1, 0.3: 3}, steps=100)
    sweep(store, {0.1: 1, 0.3: 3}, steps=50)
    with pytest.raises(HarnessError, match="different settings"):
        RADIUS.data(made.material(store))


def test_a_row_without_a_sweep_is_refused_with_the_command_that_makes_it(store: Store) -> None:
    made.fill(store, seeds=[0])
    with pytest.raises(HarnessError, match=r"harness evaluate \d:last --sweep 2,4,8,16 --attacks pgd"):
        RADIUS.data(made.material(store))
    made.fill(store, methods=["sat"], seeds=[0], checkpoint="early")
    with pytest.raises(HarnessError, match=r"^(?=.*sat \(early\))(?=.*sat \(last\))"):
        RADIUS.data(made.material(store, methods=("sat",)))
    store = Store.in_memory()
    made.fill(store, seeds=[0])
    sweep(store, {0.1: 30, 0.3: 20}, run=1)
    with pytest.raises(HarnessError, match=r"trades, standard: .* --method"):
        RADIUS.data(made.material(store))
    assert RADIUS.data(made.material(store, methods=("sat",))).distinct("row") == ["sat"]
    with pytest.raises(HarnessError, match="worst_case is refused"):
        RADIUS.data(made.material(store, sort="worst_case"))


def test_a_sweep_in_balls_of_another_norm_is_drawn_as_such(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    sweep(store, {0.5: 30, 1.0: 20}, norm="L2")
    marks = RADIUS.data(made.material(store))
    assert [m["radius"] for m in marks.rows] == [0.0, 0.5, 1.0]  # without the board's own ball
    assert (marks.only("norm"), marks.only("epsilon")) == ("L2", None)
    with made.drawn(RADIUS, marks) as canvas:
        assert canvas.axes[0].get_xlabel() == "L2 radius"
        assert not [text for text in canvas.axes[0].texts if "protocol" in text.get_text()]


def test_rows_of_one_method_differ_in_their_lines(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    sweep(store, {0.1: 30, 0.4: 10})
    marks = RADIUS.data(made.material(store))
    rows = [{**row, "row": f"sat {i}"} for i in range(7) for row in marks.rows]
    with made.drawn(RADIUS, Marks.of(rows)) as canvas:
        handles, _ = canvas.axes[0].get_legend_handles_labels()
        assert [line.lines[0].get_linestyle() for line in handles] == ["-", "--", ":", "-.", "-", "--", ":"]
        assert canvas.axes[0].get_legend() is None
        (legend,) = canvas.legends  # outside the axes: there are too many names
        assert len(legend.get_texts()) == 7


def test_lines_go_through_the_rows_and_the_radius_is_in_units_of_a_level(store: Store) -> None:
    made.fill(store, methods=["sat", "trades"], seeds=[0])
    for run in (1, 2):
        sweep(store, {0.1: 30 + run, 0.4: 10 + run}, run=run)
    marks = RADIUS.data(made.material(store))
    with made.drawn(RADIUS, marks) as canvas:
        (axes,) = canvas.axes
        handles, names = axes.get_legend_handles_labels()
        assert [line.lines[0].get_linestyle() for line in handles] == ["-", "-"]  # two methods
        assert names == marks.distinct("row")
        for line, name in zip(handles, names, strict=True):
            held = marks.where(row=name)
            expected = made.rounded((255 * float(m["radius"] or 0), m["value"]) for m in held)
            assert made.rounded(line.lines[0].get_xydata()) == expected
            ends = [segment[:, 1] for segment in line.lines[2][0].get_segments()]
            assert made.rounded(ends) == made.rounded((m["low"], m["high"]) for m in held)
        assert axes.get_xlabel() == "L∞ radius, in 1/255"


def test_every_row_is_in_the_legend_and_differs_from_the_others(store: Store) -> None:
    """The first two methods share colour and marker; matplotlib lists no label that begins with an underscore."""
    names = ["mine6", "mine12", "_mine"]
    assert look_of(names[0]) == look_of(names[1])
    stores.see_protocol(store, made.SETTINGS, made.TRAINING)
    for number, method in enumerate(names, 1):
        run = stores.start(store, stores.make_spec(method=method, training=made.TRAINING))
        stores.add_checkpoint(store, run, epoch=3)
        store.end_run(run.id)
        sweep(store, {0.1: 30 + number, 0.2: 20 + number, 0.4: 10}, run=number)
    marks = RADIUS.data(made.material(store))
    with made.drawn(RADIUS, marks) as canvas:
        (axes,) = canvas.axes
        listed = axes.get_legend()
        assert sorted(text.get_text().strip() for text in listed.get_texts()) == sorted(names)
        lines = [handle.lines[0] for handle in axes.get_legend_handles_labels()[0]]
        looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(looks) == 3
