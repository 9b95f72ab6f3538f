"""Robust overfitting: the same networks early and last, and their difference, paired by network."""

from __future__ import annotations

import statistics

import pytest
from scipy import stats

from harness.errors import HarnessError, SettingError
from harness.figures.marks import number
from harness.figures.overfitting import OVERFITTING
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made


def test_the_change_is_students_over_pairs(
    two_checkpoints: tuple[Store, made.Known, made.Known],
) -> None:
    store, early, last = two_checkpoints
    marks = OVERFITTING.data(made.material(store, sort="pgd"))
    for method in made.SHARES:
        both = [
            [statistics.median(sum(held[method, seed, "pgd", n]) for n in range(3)) / 0.4 for seed in made.SEEDS]
            for held in (early, last)
        ]
        values = {mark["mark"]: mark for mark in marks.where(row=method)}
        assert [values[name]["value"] for name in ("early", "last")] == pytest.approx([*map(statistics.fmean, both)])
        differences = [b - a for a, b in zip(*both, strict=True)]
        assert values["change"]["value"] == pytest.approx(statistics.fmean(differences))
        expected = stats.ttest_rel(both[1], both[0]).confidence_interval()
        assert (values["change"]["low"], values["change"]["high"]) == pytest.approx((expected.low, expected.high))
        assert (values["change"]["over"], values["change"]["n"]) == ("training seeds", 3)


def test_only_networks_with_both_checkpoints_count(store: Store) -> None:
    made.fill(store, checkpoint="early", methods=["sat"], seeds=[1])
    known = made.fill(store, checkpoint="last", methods=["sat"])
    marks = OVERFITTING.data(made.material(store, sort="natural"))
    (last,) = marks.where(mark="last")
    assert last["value"] == pytest.approx(sum(known["sat", 1, "natural", 0]) / 0.4)
    assert (last["over"], last["n"]) == ("test images", 40)
    (change,) = marks.where(mark="change")
    (early,) = marks.where(mark="early")
    assert change["value"] == pytest.approx(number(last, "value") - number(early, "value"))
    assert number(change, "low") <= number(change, "value") <= number(change, "high")
    assert change["over"] == "test images"


def twice(store: Store, seed: int, *attack_seeds: tuple[int, ...]) -> None:
    """A network that is right on other images under each attack seed, alike at both checkpoints."""
    stores.see_protocol(store, {"pgd": made.SETTINGS["pgd"]}, made.TRAINING)
    run = stores.start(store, stores.make_spec(training=made.TRAINING, train_seed=seed))
    for name, epoch, those in zip(("early", "last"), (2, 3), attack_seeds, strict=True):
        kept = stores.add_checkpoint(store, run, name, epoch=epoch)
        for attack_seed in those:
            wrong = [int(image // 10 != attack_seed) for image in range(40)]
            stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], wrong, seed=attack_seed)
    store.end_run(run.id)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_attack_seeds_of_one_checkpoint_alone_do_not_count(store: Store, seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        twice(store, seed, (0,), (0, 1, 2))  # one seed leaves 75 % right, all three together 25 %
    marks = OVERFITTING.data(made.material(store, sort="worst_case"))
    assert [mark["value"] for mark in marks.rows] == [75.0, 75.0, 0.0]
    (change,) = marks.where(mark="change")
    assert (change["low"], change["high"]) == (0.0, 0.0)


def test_checkpoints_without_an_attack_seed_in_common_are_refused(store: Store) -> None:
    twice(store, 0, (0,), (1, 2))
    with pytest.raises(HarnessError, match="attack seed in common"):
        OVERFITTING.data(made.material(store))


def test_two_networks_of_one_method_keep_apart(store: Store) -> None:
    made.fill(store, checkpoint="early", methods=["sat"])
    made.fill(store, checkpoint="last", methods=["sat"])
    for name in ("early", "last"):
        spec = stores.make_spec(network="resnet18", training=made.TRAINING)
        run = stores.start(store, spec)
        kept = stores.add_checkpoint(store, run, name, epoch=2 if name == "early" else 3)
        store.end_run(run.id)
        stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], stores.right(10, 40))
    marks = OVERFITTING.data(made.material(store, sort="pgd"))
    assert sorted(map(str, marks.distinct("row"))) == ["sat (resnet18)", "sat (smallcnn)"]
    assert [m["value"] for m in marks.where(row="sat (resnet18)")] == [25.0, 25.0, 0.0]


def test_each_mark_is_drawn_where_its_row_says(two_checkpoints: tuple[Store, made.Known, made.Known]) -> None:
    marks = OVERFITTING.data(made.material(two_checkpoints[0], sort="pgd"))
    rows = marks.distinct("row")
    with made.drawn(OVERFITTING, marks) as canvas:
        left, right = canvas.axes
        apart = {"early": -0.14, "last": 0.14}
        inside = [m for m in marks.rows if m["mark"] != "change" and number(m, "value") >= left.get_xlim()[0]]
        expected = [(m["value"], rows.index(m["row"]) + apart[str(m["mark"])]) for m in inside]
        assert made.points(left) == made.rounded(expected)
        changes = marks.where(mark="change")
        assert made.points(right) == made.rounded((m["value"], rows.index(m["row"])) for m in changes)
        assert made.across(right) == made.rounded((m["low"], m["high"]) for m in changes)
        (outside,) = [text.get_text() for text in left.texts]
        values = [number(m, "value") for m in marks.where(row="standard")]
        assert outside == f"◂ early {values[0]:.1f}, last {values[1]:.1f}"


def test_a_row_without_a_partner_is_refused_with_the_command_that_makes_it(store: Store) -> None:
    made.fill(store, checkpoint="last", seeds=[0])
    with pytest.raises(HarnessError, match=r"trades, standard: no network .* evaluation.checkpoints=early,last"):
        OVERFITTING.data(made.material(store))
    made.fill(store, checkpoint="early", methods=["sat"], seeds=[0])
    with pytest.raises(HarnessError, match=r"standard: no network .* --method"):
        OVERFITTING.data(made.material(store))
    assert OVERFITTING.data(made.material(store, methods=("sat",))).distinct("row") == ["sat"]


def test_one_checkpoint_alone_is_refused(board: tuple[Store, made.Known]) -> None:
    with pytest.raises(SettingError, match="--checkpoint is refused"):
        OVERFITTING.data(made.material(board[0], checkpoint="last"))
