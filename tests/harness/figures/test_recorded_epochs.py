"""The curves that trainings recorded, in the figure of overfitting: means over networks at the epochs that all have."""

from __future__ import annotations

from typing import Any

import pytest

from harness.events import CurvePoint, EpochRecord
from harness.figures.marks import Marks
from harness.figures.overfitting import OVERFITTING
from harness.store.store import Store
from tests.harness.figures import made

Points = dict[int, CurvePoint]
"""Epoch -> its point."""


def curve(right: dict[int, int], *, part: Any = "test", attack: str = "pgd", **changes: Any) -> Points:
    """How many of 50 images were right after each epoch."""
    settings = made.SETTINGS[attack] | changes
    return {epoch: CurvePoint(part, attack, settings, 50, correct, 1.0) for epoch, correct in right.items()}


def record(store: Store, run: int, first: Points, *others: Points) -> None:
    """Record the points of curves that have points after the same epochs."""
    for epoch in first:
        points = tuple(points[epoch] for points in (first, *others))
        store.add_epoch(run, EpochRecord(epoch, 1.0, 0.1, 100, 1.0, curve=points))


@pytest.fixture
def store() -> Store:
    """One method with two networks, at two checkpoints."""
    store = Store.in_memory()
    for checkpoint in ("early", "last"):
        made.fill(store, methods=["sat"], seeds=(0, 1), checkpoint=checkpoint)
    return store


def recorded(marks: Marks) -> list[tuple[Any, ...]]:
    return [tuple(m[name] for name in ("part", "epoch", "images", "value", "n")) for m in marks.where(mark="recorded")]


def test_points_are_means_over_the_networks_at_epochs_that_all_recorded(store: Store) -> None:
    record(store, 1, curve({1: 10, 2: 20, 3: 30}))
    record(store, 2, curve({1: 20, 3: 40}))
    marks = OVERFITTING.data(made.material(store, sort="pgd"))
    assert recorded(marks) == [("test", 1, 50, 30.0, 2), ("test", 3, 50, 70.0, 2)]
    assert {m["attack"] for m in marks.rows} == {"pgd"}


def test_curves_of_another_attack_or_of_other_settings_are_not_mixed_in(store: Store) -> None:
    others = curve({1: 1, 3: 3}, steps=5), curve({1: 2, 3: 4}, attack="cw")
    record(store, 1, curve({1: 10, 3: 30}), *others)
    assert recorded(OVERFITTING.data(made.material(store, sort="pgd"))) == [
        ("test", 1, 50, 20.0, 1),
        ("test", 3, 50, 60.0, 1),
    ]
    of_cw = OVERFITTING.data(made.material(store, sort="cw"))
    assert [m["value"] for m in of_cw.where(mark="recorded")] == [4.0, 8.0]
    worst = OVERFITTING.data(made.material(store, sort="worst_case"))  # which no training records: PGD stands in
    assert [m["attack"] for m in worst.where(mark="recorded")] == ["pgd", "pgd"]
    assert [m["attack"] for m in worst.where(mark="last")] == ["worst case"]


def test_without_records_there_is_no_panel(store: Store) -> None:
    marks = OVERFITTING.data(made.material(store))
    assert recorded(marks) == []
    with made.drawn(OVERFITTING, marks) as canvas:
        assert len(canvas.axes) == 2


def test_a_line_for_each_part_is_drawn_where_its_rows_say(store: Store) -> None:
    record(store, 1, curve({1: 10, 2: 20, 3: 30}), curve({1: 20, 2: 40, 3: 50}, part="train"))
    marks = OVERFITTING.data(made.material(store, sort="pgd"))
    with made.drawn(OVERFITTING, marks) as canvas:
        *_, axes = sorted(canvas.axes, key=lambda axes: -axes.get_position().y0)
        lines = [made.rounded(line.get_xydata()) for line in axes.get_lines() if len(line.get_xdata()) == 3]
        assert lines == [[(1, 20), (2, 40), (3, 60)], [(1, 40), (2, 80), (3, 100)]]
        assert axes.get_title(loc="left") == "full: 50 test images; dashed: 50 training images"
        assert [text.get_text() for text in axes.texts] == [" early"]
        assert all(tick == int(tick) for tick in axes.get_xticks())
        assert axes.get_ylabel() == "accuracy under\npgd, %"


def test_rows_of_one_method_have_their_names_at_their_lines(store: Store) -> None:
    record(store, 1, curve({1: 10, 2: 20, 3: 30}))
    marks = OVERFITTING.data(made.material(store, sort="pgd"))
    both = Marks.of([*marks.rows, *({**row, "row": "sat momentum=0"} for row in marks.rows)])
    with made.drawn(OVERFITTING, both) as canvas:
        *_, axes = sorted(canvas.axes, key=lambda axes: -axes.get_position().y0)
        assert [text.get_text() for text in axes.texts if text.get_text()] == [" early", "sat", "sat momentum=0"]
