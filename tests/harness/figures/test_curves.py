"""Figures 1(b, c) and 5: the points against the counts in the database, the lines against the points, refusals."""

from __future__ import annotations

import math
import re
import sqlite3
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from harness.errors import HarnessError
from harness.events import CurvePoint, EpochRecord
from harness.figures.curves import ACCURACY, BEGINS
from harness.figures.gairat_cw import GAIRAT_CW
from harness.figures.marks import number
from harness.figures.unseen_attack import UNSEEN_ATTACK
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made

EPOCHS, IMAGES = 10, 50
TRAINING = {"epsilon": 0.2, "epochs": EPOCHS}
SETTINGS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"steps": 20}, "cw": {"steps": 20, "kappa": 50.0}}
FIFTH = IMAGES // 5 + 1
GAIRAT = {"shift": -1.0, "assignment": "tanh", "burn_in": 0.3}


def right(method: str, seed: int, attack: str, epoch: int, part: str) -> int:
    """A count that all five decide, different for each; more than a fifth, so that no network is at chance."""
    return FIFTH + (len(method) * 7 + seed * 5 + len(attack) * 3 + epoch * 2 + (part == "train") * 11) % (
        IMAGES - FIFTH
    )


def add(
    store: Store,
    method: str,
    seed: int,
    *,
    every: int = 2,
    attack: str | None = None,
    settings: Mapping[str, Mapping[str, Any]] = SETTINGS,
    images: int = IMAGES,
) -> int:
    """A run with curves of both parts; gives its number."""
    stores.see_protocol(store, {"natural": {}}, TRAINING)
    changed = {} if attack is None else {"attack": attack}
    own = ({**GAIRAT} if method == "gairat" else {}) | changed
    spec = stores.make_spec(method=method, method_settings=own, training=TRAINING, train_seed=seed)
    run = stores.start(store, spec, method_departures=changed)
    for epoch in range(1, EPOCHS + 1):
        points = tuple(
            CurvePoint(part, name, dict(values), images, right(method, seed, name, epoch, part), 0.1)
            for part in ("test", "train")
            for name, values in settings.items()
            if epoch % every == 0
        )
        store.add_epoch(run.id, EpochRecord(epoch, 1.0, 0.1, 20, 1.0, curve=points))
    stores.add_checkpoint(store, run)
    store.end_run(run.id)
    return run.id


QUERY = """
    SELECT runs.method, curves.attack, curve_points.epoch, 100.0 * curve_points.correct / curves.images
    FROM curve_points JOIN curves ON curves.id = curve_points.curve_id JOIN runs ON runs.id = curves.run_id
    WHERE curves.part = 'test' ORDER BY runs.train_seed
"""


def test_points_are_means_of_the_counts_in_the_database_with_students_interval(tmp_path: Path) -> None:
    store = Store.write(str(tmp_path / "board.db"))
    for seed in range(3):
        for method in ("sat", "gairat"):
            add(store, method, seed)
    marks = UNSEEN_ATTACK.data(made.material(store))
    store.close()
    held: dict[tuple[str, str, int], list[float]] = {}
    with sqlite3.connect(tmp_path / "board.db") as database:
        for method, attack, epoch, percent in database.execute(QUERY):
            held.setdefault((method, attack, epoch), []).append(percent)
    points = marks.where(mark=ACCURACY)
    assert {(p["row"], p["attack"], p["epoch"]) for p in points} == {key for key in held if key[1] != "natural"}
    for point in points:
        values = held[str(point["row"]), str(point["attack"]), int(number(point, "epoch"))]
        assert len(values) == 3
        assert point["value"] == pytest.approx(statistics.fmean(values))
        low, high = stats.t.interval(0.95, 2, statistics.fmean(values), statistics.stdev(values) / math.sqrt(3))
        assert (number(point, "low"), number(point, "high")) == pytest.approx((low, high))
        assert (point["over"], point["n"]) == ("training seeds", 3)


def one_each() -> Store:
    store = Store.in_memory()
    add(store, "sat", 0)
    add(store, "gairat", 4)
    return store


def test_one_network_has_the_interval_over_its_images() -> None:
    marks = UNSEEN_ATTACK.data(made.material(one_each()))
    for point in marks.where(mark=ACCURACY, row="sat", attack="cw"):
        count = right("sat", 0, "cw", int(number(point, "epoch")), "test")
        expected = stats.binomtest(count, IMAGES).proportion_ci(0.95, "wilson")
        assert point["value"] == 100 * count / IMAGES
        assert (number(point, "low"), number(point, "high")) == pytest.approx((100 * expected.low, 100 * expected.high))
        assert (point["over"], point["n"]) == ("test images", IMAGES)


def test_the_weights_of_gairat_begin_after_its_burn_in() -> None:
    marks = UNSEEN_ATTACK.data(made.material(one_each()))
    begins = marks.where(mark=BEGINS)
    assert [(mark["row"], mark["attack"], mark["epoch"]) for mark in begins] == [
        ("gairat", "pgd", 3.0),
        ("gairat", "cw", 3.0),
    ]


def test_lines_go_through_the_points() -> None:
    marks = UNSEEN_ATTACK.data(made.material(one_each()))
    with made.drawn(UNSEEN_ATTACK, marks) as canvas:
        assert [axes.get_title(loc="left") for axes in canvas.axes] == [
            "PGD, crafted in training",
            "CW, unseen in training",
        ]
        for axes, attack in zip(canvas.axes, ("pgd", "cw"), strict=True):
            lines = {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}
            assert set(lines) == {"sat", "gairat"}
            for row, line in lines.items():
                points = marks.where(mark=ACCURACY, row=row, attack=attack)
                assert line.get_xdata().tolist() == [point["epoch"] for point in points]
                assert line.get_ydata().tolist() == [point["value"] for point in points]
            bands = [band.get_paths()[0].vertices for band in axes.collections]
            for band, row in zip(bands, ("sat", "gairat"), strict=True):
                ends = {
                    (p["epoch"], p[end])
                    for p in marks.where(mark=ACCURACY, row=row, attack=attack)
                    for end in ("low", "high")
                }
                assert set(made.rounded(band)) == set(made.rounded(ends))


def test_figure_5_is_of_gairat_that_trains_on_cw() -> None:
    store = one_each()
    add(store, "gairat", 4, attack="cw")
    marks = GAIRAT_CW.data(made.material(store))
    assert marks.distinct("row") == ["sat", "gairat attack=cw"]
    assert marks.distinct("panel") == ["CW, crafted by GAIRAT", "PGD, crafted by SAT"]
    assert UNSEEN_ATTACK.data(made.material(store)).distinct("row") == ["sat", "gairat"]


def test_panels_of_chosen_methods_say_nothing_about_their_training() -> None:
    marks = UNSEEN_ATTACK.data(made.material(one_each(), methods=("gairat",)))
    assert marks.distinct("panel") == ["PGD", "CW"]
    assert marks.distinct("row") == ["gairat"]


def test_two_trainings_of_one_method_have_two_lines() -> None:
    store = one_each()
    add(store, "gairat", 4, attack="cw")
    marks = UNSEEN_ATTACK.data(made.material(store, methods=("gairat",)))
    with made.drawn(UNSEEN_ATTACK, marks) as canvas:
        lines = [line for line in canvas.axes[0].get_lines() if not line.get_label().startswith("_")]
        assert [line.get_label() for line in lines] == ["gairat", "gairat attack=cw"]
        assert len({line.get_linestyle() for line in lines}) == 2


def refused(store: Store, **choices: Any) -> str:
    with pytest.raises(HarnessError) as error:
        GAIRAT_CW.data(made.material(store, **choices))
    return re.sub(r"\s+", " ", str(error.value))


def test_what_is_missing_is_refused_with_the_command() -> None:
    store = Store.in_memory()
    assert "harness run sat --dataset digits --arch smallcnn" in refused(store)
    add(store, "sat", 0)
    assert "`harness run gairat --dataset digits --arch smallcnn --set gairat.attack=cw --eval-every 1`" in refused(
        store
    )
    number = add(store, "gairat", 0, attack="cw", settings={"pgd": SETTINGS["pgd"]})
    assert (
        f"run {number} (gairat-smallcnn-digits-s0) has no accuracies under cw over its epochs; record them with the"
        " command `harness run gairat --dataset digits --arch smallcnn --set gairat.attack=cw --eval-every 1 --fresh`"
    ) in refused(store)
    add(store, "gairat", 2, attack="cw")
    assert "--set gairat.attack=cw --train-seeds 3 --eval-every 1 --fresh`" in refused(store)


def test_what_cannot_be_compared_is_refused() -> None:
    store = Store.in_memory()
    add(store, "sat", 0)
    other = {**SETTINGS, "cw": {"steps": 40, "kappa": 50.0}}
    add(store, "gairat", 0, attack="cw", settings=other)
    assert "run 1 and of run 2 cannot be compared: cw had other settings, or other images" in refused(store)
    store = Store.in_memory()
    add(store, "sat", 0)
    add(store, "gairat", 0, attack="cw", images=IMAGES + 1)
    assert "cannot be compared" in refused(store)
    store = Store.in_memory()
    for seed, every in ((0, 3), (1, 4)):
        add(store, "sat", seed, every=every)
        add(store, "gairat", seed, attack="cw")
    assert "the networks trained with sat were attacked by cw after different epochs" in refused(store)


def test_trainings_of_one_label_that_differ_in_settings_are_not_averaged() -> None:
    store = Store.in_memory()
    add(store, "sat", 0)
    for seed, shift in ((0, -1.0), (1, -2.0)):  # each of them was the default when its run was made
        spec = stores.make_spec(method="gairat", method_settings=GAIRAT | {"shift": shift}, training=TRAINING)
        run = stores.start(store, replace(spec, train_seed=seed))
        point = CurvePoint("test", "cw", SETTINGS["cw"], IMAGES, 10, 0.1)
        store.add_epoch(run.id, EpochRecord(10, 1.0, 0.1, 20, 1.0, curve=(point, replace(point, attack="pgd"))))
        stores.add_checkpoint(store, run)
        store.end_run(run.id)
    said = refused(store, methods=("gairat",))
    said = refused(store, methods=("gairat",))
    assert "run 2 and run 3 are both called gairat, and differ in settings or code" in said


def test_a_curve_in_two_parts_is_refused() -> None:
    store = one_each()
    point = CurvePoint("test", "cw", {"steps": 7}, IMAGES, 3, 0.1)
    store.add_epoch(1, EpochRecord(EPOCHS, 1.0, 0.1, 20, 1.0, curve=(point,)))
    assert "was recorded with several settings of cw" in refused(store, methods=("sat",))
