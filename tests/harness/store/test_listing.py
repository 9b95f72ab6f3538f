"""The list of runs, against the whole records: the same values, states, and headline figures."""

from __future__ import annotations

import pytest

from harness.cli.runs import documents
from harness.errors import StoreError
from harness.events import EpochRecord
from harness.leaderboard.contestants import contestants
from harness.leaderboard.headline import headline
from tests.harness.leaderboard.drawn import drawn


@pytest.mark.parametrize("number", range(4))
def test_the_list_says_what_the_records_say(number: int) -> None:
    store = drawn(number)
    for run in store.runs()[1:]:
        for epoch in range(run.id % 3):
            store.add_epoch(run.id, EpochRecord(epoch + 1, 1.0, 0.1, 4, 1.0, {}))
    records, listed = store.runs(), store.listed_runs()
    assert store.states(records) == store.states(listed)
    for run, one in zip(records, listed, strict=True):
        for name in ("id", "status", "attempt", "failure", "created_utc", "finished_utc", "training", "note"):
            assert getattr(one, name) == getattr(run, name)
        assert (one.epochs, tuple(one.tags)) == (len(run.epochs), run.tags)
        for name in ("method", "method_departures", "network", "dataset", "train_seed", "training_sha256"):
            assert getattr(one.standing, name) == getattr(run, name)
        held = [[(e.id, e.done, e.correct, e.damage) for e in c.evaluations] for c in one.standing.checkpoints]
        assert held == [[(e.id, e.done, e.correct, e.damage) for e in c.evaluations] for c in run.checkpoints]
        figures = [headline(list(contestants([which])), store.protocols()) for which in (run, one.standing)]
        assert figures[0] == figures[1]
    assert [document["run"] for document in documents(store) if "run" in document] == [run.id for run in records]
    store.close()


def test_a_damaged_count_is_no_figure_of_the_list() -> None:
    store = drawn(3)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql("UPDATE blocks SET correct = correct + 1")
    with pytest.raises(StoreError, match="no figure is made of it"):
        list(documents(store))
    store.close()
