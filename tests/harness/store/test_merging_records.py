"""Taking records of trainings and attacks from one database into another: all of them, once, to the last bit."""

from __future__ import annotations

from dataclasses import replace

from harness.store.merged_results import Merged
from harness.store.merging import merge_database
from harness.store.records import CheckpointRecord, RunRecord
from harness.store.store import Store
from harness.targets.probe import same_function
from tests import stores
from tests.harness.store.entries import (
    FLIPS,
    WEIGHT,
    epoch,
    images,
    make_spec,
    point,
    recorded_block,
    rows,
    see_model,
    start,
)

PREDICTED = (0, 9, -1, 0)
ZETA = replace(WEIGHT, name="Zeta")  # by bytes ahead of the other names, by the rules of a language behind them


def train(store: Store, *, recorded: bool, seed: int = 3) -> RunRecord:
    """A trained network of two epochs, with curves and histograms or without."""
    run = start(store, make_spec(train_seed=seed))
    for number in (1, 2):
        curve = (point(60 + number), point(70 + number, "train"), point(100, attack="natural"))
        store.add_epoch(
            run.id, epoch(number, *(curve if recorded else ()), histograms=(WEIGHT, FLIPS) if recorded else ())
        )
    stores.add_checkpoint(store, run, sha256="c" * 64)
    store.end_run(run.id)
    return store.run(run.id)


def attack(store: Store, checkpoint: CheckpointRecord) -> int:
    """A complete evaluation of four images in two blocks, with all that is kept of it."""
    number = store.open_evaluation(checkpoint.id, "pgd", {"steps": 20}, 0, 4)
    store.add_block(recorded_block(number, 2, PREDICTED[2:]))
    store.add_block(recorded_block(number, 0, PREDICTED[:2], images(0.1, 1e-45)))
    return number


def take(source: str, into: str) -> Merged:
    return merge_database(source, into, same_function)


def test_a_new_run_and_a_new_model_come_with_all_their_records(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    train(there, recorded=False, seed=9)  # so that the numbers differ
    mine = train(store, recorded=True)
    numbers = [attack(store, mine.checkpoints[0]), attack(store, see_model(store).checkpoint)]
    assert take(place, other_place) == Merged(runs=1, models=1, evaluations=2)
    _, taken = there.runs()
    assert there.curves(taken.id) == store.curves(mine.id)
    assert there.histograms(taken.id) == store.histograms(mine.id)
    assert (len(there.curves(taken.id)), len(there.histograms(taken.id))) == (3, 4)
    for number, checkpoint in zip(numbers, (taken.checkpoints[0], there.models()[0].checkpoint), strict=True):
        (evaluation,) = checkpoint.evaluations
        assert there.predicted(evaluation.id) == list(PREDICTED)
        assert there.adversarial_images(evaluation.id) == store.adversarial_images(number)
        assert [image.pixels for image in there.adversarial_images(evaluation.id)] == list(images(0.1, 1e-45))
    before = rows(other_place)
    assert take(place, other_place) == Merged()
    assert rows(other_place) == before


def test_a_run_that_is_there_without_records_takes_them_once(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    mine, its = train(store, recorded=True), train(there, recorded=False)
    assert take(place, other_place) == Merged()  # nothing that is counted
    assert there.curves(its.id) == store.curves(mine.id)
    assert there.histograms(its.id) == store.histograms(mine.id)
    before = rows(other_place)
    take(place, other_place)
    assert rows(other_place) == before


def test_records_that_are_there_stay(store: Store, place: str, there: Store, other_place: str) -> None:
    """Also if the other training recorded other points: one curve never has points of two trainings."""
    train(store, recorded=True)
    its = train(there, recorded=False)
    there.add_epoch(its.id, epoch(2, point(5), histograms=(FLIPS,)))
    take(place, other_place)
    assert [curve.points for curve in there.curves(its.id)] == [((2, 5),)]
    found = [(one.epoch, one.histogram.name) for one in there.histograms(its.id)]
    assert found == [(1, "steps_to_flip"), (1, "weight"), (2, "steps_to_flip")]


def test_a_run_without_records_takes_none_from_the_one_that_is_there(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    train(store, recorded=False)
    its = train(there, recorded=True)
    before = rows(other_place)
    assert take(place, other_place) == Merged()
    assert rows(other_place) == before
    assert len(there.curves(its.id)) == 3


def test_another_training_gives_no_records(store: Store, place: str, there: Store, other_place: str) -> None:
    """Its weights differ, so its curves belong to another network."""
    train(store, recorded=True)
    run = start(there, make_spec())
    there.add_epoch(run.id, epoch(1))
    stores.add_checkpoint(there, run, sha256="d" * 64)
    there.end_run(run.id)
    assert len(take(place, other_place).conflicts) == 1
    assert (there.curves(run.id), there.histograms(run.id)) == ([], [])


def test_a_complete_evaluation_brings_its_records_in_place_of_one_that_was_stopped(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    mine, its = train(store, recorded=False), train(there, recorded=False)
    attack(store, mine.checkpoints[0])
    number = there.open_evaluation(its.checkpoints[0].id, "pgd", {"steps": 20}, 0, 4)
    there.add_block(recorded_block(number, 0, PREDICTED[:2]))
    assert take(place, other_place) == Merged(evaluations=1, filled=1)
    ((evaluation,),) = (checkpoint.evaluations for checkpoint in there.run(its.id).checkpoints)
    assert there.predicted(evaluation.id) == list(PREDICTED)
    assert [image.pixels for image in there.adversarial_images(evaluation.id)] == list(images(0.1, 1e-45))
    assert len(rows(other_place)["adversarial_images"]) == 2


def test_histograms_are_compared_whatever_order_of_texts_a_database_has(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    for each in (store, there):
        run = start(each)
        each.add_epoch(run.id, epoch(1, histograms=(FLIPS, ZETA)))
        stores.add_checkpoint(each, run, sha256="c" * 64)
        each.end_run(run.id)
        assert [one.histogram.name for one in each.histograms(run.id)] == ["Zeta", "steps_to_flip"]
    assert take(place, other_place) == Merged()
