"""Rows of the checkpoint ``best``: their seeds share a row, and say what the images reached that chose them."""

from __future__ import annotations

import json

import pytest

from harness.events import VALIDATION_NATURAL, VALIDATION_ROBUST, EpochRecord
from harness.leaderboard.board import Selection
from harness.leaderboard.choice import Chosen
from harness.leaderboard.legend import notes
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import row_documents
from harness.planning.spent import epochs_up_to
from harness.store.store import Store
from harness.store.validated import ValidatedEpoch, chosen_by
from tests.stores import add_checkpoint, add_evaluation, make_spec, right, see_protocol, start

TRAINING = {"epochs": 3, "validation": 8}
ROBUST = ([1, 4, 4], [3, 2, 1])  # of 8, after each epoch of both seeds: epochs 2 and 1 are best


@pytest.fixture(scope="module")
def store() -> Store:
    held = Store.in_memory()
    see_protocol(held, {"pgd": {}}, TRAINING)
    for seed, robust in enumerate(ROBUST):
        run = start(held, make_spec(training=TRAINING, train_seed=seed))
        for epoch, correct in enumerate(robust, start=1):
            found = {VALIDATION_NATURAL: 75.0, VALIDATION_ROBUST: 12.5 * correct, "other": 1.0}
            held.add_epoch(run.id, EpochRecord(epoch, 1.0, 0.1, 100, 1.0, found))
        held.add_checkpoint(run.id, "best", 3, "0" * 64)  # as a start told it that was lost with its state
        for name, epoch, hits in (("last", 3, 10), ("best", 2 - seed, 20)):
            add_evaluation(held, add_checkpoint(held, run, name, epoch), "pgd", {}, right(hits + seed, 40))
        held.end_run(run.id)
    return held


def test_the_epochs_of_runs_and_the_first_of_the_best(store: Store) -> None:
    assert store.validated_of([1, 2, 99]) == {
        1: tuple(ValidatedEpoch(epoch, 8, 75.0, 12.5 * n) for epoch, n in enumerate(ROBUST[0], start=1)),
        2: tuple(ValidatedEpoch(epoch, 8, 75.0, 12.5 * n) for epoch, n in enumerate(ROBUST[1], start=1)),
        99: (),
    }
    assert [one.epoch for run in store.runs() if (one := chosen_by(run)) is not None] == [2, 1]
    assert [len(epochs_up_to(run, "best")) for run in store.runs()] == [3, 3]  # what it took to know the best


def test_seeds_with_other_best_epochs_share_a_row_that_says_what_chose_them(store: Store) -> None:
    (board,) = boards(store)
    best, last = board.rows
    assert (best.checkpoint, best.train_seeds, best.value("pgd")) == ("best", 2, 51.25)  # 20 and 21 of 40
    assert best.chosen == Chosen(images=8, networks=2, robust_percent=43.75, epochs=(2, 1))  # 4 and 3 of 8
    assert (last.checkpoint, last.chosen, last.notes) == ("last", None, ())
    (note,) = notes([board])
    assert "best: 43.75 % robust on 8 training images held out, the mean over 2 networks; the same images" in note
    documents = json.loads(json.dumps(list(row_documents([board]))))
    assert [document.get("chosen") for document in documents] == [
        {"images": 8, "networks": 2, "robust_percent": 43.75, "epochs": [2, 1]},
        None,
    ]
    (by_seed,) = boards(store, Selection(by_seed=True, checkpoint="best"))
    assert [(row.train_seed, row.chosen and row.chosen.robust_percent) for row in by_seed.rows] == [
        (0, 50.0),
        (1, 37.5),
    ]
