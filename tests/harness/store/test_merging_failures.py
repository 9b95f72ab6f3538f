"""Taking trainings that failed from one database into another: a row has its failed seeds there, too."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.events import EpochRecord
from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.protocols.protocol import load_protocol
from harness.store.merged_results import Merged
from harness.store.merging import merge_database
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.targets.probe import same_function
from tests.harness.store.entries import make_spec, rows, see_pgd_protocol, start
from tests.stores import add_checkpoint, add_evaluation, as_digits

PGD_TRAINING = load_protocol("digits").with_values({"evaluation.attacks": ("pgd",)}).training_document
FAILED = "the loss is not finite at epoch 2, batch 5"  # of a training; told as a failed seed of its row


def take(source: str, into: str) -> Merged:
    return merge_database(source, into, same_function)


def finish(store: Store, seed: int, **changes: Any) -> None:
    """A trained network."""
    run = start(store, make_spec(train_seed=seed), **changes)
    add_checkpoint(store, run)
    store.end_run(run.id)


def fail(store: Store, seed: int, failure: str = FAILED, **changes: Any) -> RunRecord:
    """A training that failed in its second epoch."""
    run = start(store, make_spec(train_seed=seed), **changes)
    store.add_epoch(run.id, EpochRecord(1, 2.5, 0.1, 1437, 0.5, {"weight": 1.0}))
    store.end_run(run.id, failure=failure)
    return store.run(run.id)


def test_a_failed_seed_comes_along_once(store: Store, place: str, there: Store, other_place: str) -> None:
    see_pgd_protocol(store)
    trained, failed = (start(store, make_spec(train_seed=seed, training=PGD_TRAINING)) for seed in (3, 4))
    add_evaluation(store, add_checkpoint(store, trained), "pgd", {"steps": 20}, as_digits("1100"))
    store.end_run(trained.id)
    store.add_epoch(failed.id, EpochRecord(1, 2.5, 0.1, 1437, 0.5, {"weight": 1.0}))
    store.end_run(failed.id, failure=FAILED)
    mine = store.run(failed.id)
    assert take(place, other_place) == Merged(protocols=1, runs=2, evaluations=1)
    (taken,) = there.failed_trainings()
    assert dataclasses.replace(taken, id=mine.id) == mine
    for each in (store, there):
        (row,) = [row for board in boards(each) for row in board.rows if board.source == MEASURED]
        assert row.failed is not None
        assert [(seed.train_seed, seed.reason) for seed in row.failed.seeds] == [(4, FAILED)]
    again = rows(other_place)
    assert take(place, other_place) == Merged()
    assert rows(other_place) == again


@pytest.mark.parametrize(
    ("its", "taken", "told"),
    [
        ("done", False, "its training failed: {why}; run 1 is here already, and is done"),
        ("the loss is not finite at epoch 9", False, "{same}, and failed, too: the loss is not finite at epoch 9"),
        (FAILED, False, None),
        ("methods/mine.py broke its contract", True, None),
        ("running", True, None),
    ],
)
def test_a_failed_seed_takes_no_place_that_is_taken(
    store: Store, place: str, there: Store, other_place: str, its: str, taken: bool, told: str | None
) -> None:
    mine = fail(store, seed=4)
    if its == "done":
        finish(there, seed=4)
    elif its == "running":
        start(there, make_spec(train_seed=4))
    else:
        fail(there, seed=4, failure=its)
    before = there.run(1)
    merged = take(place, other_place)
    assert there.run(1) == before
    assert [run.attempt for run in there.runs()] == ([1, 2] if taken else [1])
    assert [run.failure for run in there.failed_trainings()] == (
        [] if its == "done" else [before.failure if not taken else FAILED]
    )
    same = f"its training failed: {FAILED}; run 1 is here already"
    said = [] if told is None else [f"run {mine.id} ({mine.folder}): {told.format(why=FAILED, same=same)}"]
    assert merged == Merged(runs=int(taken), left=said)
    assert take(place, other_place) == Merged(left=said)


def test_a_failure_before_a_training_that_is_done_is_no_failed_seed(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    mine = fail(store, seed=3)
    finish(store, seed=3, attempt=2)
    merged = take(place, other_place)
    assert merged == Merged(
        runs=1, left=[f"run {mine.id} ({mine.folder}): its training failed: {FAILED}; run 2 counts"]
    )
    assert there.failed_trainings() == []
