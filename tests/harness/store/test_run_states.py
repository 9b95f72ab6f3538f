"""What became of a run: who, when, where, why."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from harness.errors import StoreError
from harness.runtime.worker import this_worker
from harness.store.leases import Lease
from harness.store.run_state import OLDER, RunState
from harness.store.store import Store
from tests.harness.store import entries
from tests.harness.store.holders import FAR, HERE, dead, let_it_pass, taken


def state(store: Store, number: int = 1) -> RunState:
    return store.states(store.runs())[number]


def told(store: Store) -> list[tuple[str, str]]:
    """Each recorded state of run 1, and where."""
    return [(one.state, one.worker.host) for one in store.history(1) if one.worker is not None]


def test_a_run_is_queued_while_its_command_lives_then_running_then_done(store: Store) -> None:
    run = entries.start(store)
    command = taken(store, "command", FAR)
    store.queue([run.id], FAR)
    assert (state(store).state, state(store).worker) == ("queued", FAR)
    lease = taken(store, "training", FAR, run_id=run.id)
    assert (state(store).state, state(store).worker) == ("running", FAR)
    store.end_run(run.id, lease=lease)
    assert (state(store).state, state(store).worker) == ("done", this_worker())
    assert told(store) == [("queued", FAR.host), ("running", FAR.host), ("done", HERE.host)]
    store.give_back([command], FAR, "lost", None)
    assert state(store).state == "done"


def test_a_run_that_another_process_has_ended_is_not_queued_again(store: Store) -> None:
    """A command that was frozen before it queued its runs wakes after another has trained them."""
    done, open_run = entries.start(store), entries.start(store, entries.make_spec(train_seed=9))
    store.end_run(done.id)
    before = store.history(done.id)
    store.queue([done.id, open_run.id], FAR)
    assert store.history(done.id) == before
    assert [one.state for one in store.history(open_run.id)] == ["queued"]


def test_a_failed_run_has_its_reason(store: Store) -> None:
    store.end_run(entries.start(store).id, "the loss is not finite at epoch 3")
    assert (state(store).state, state(store).reason) == ("failed", "the loss is not finite at epoch 3")


def test_a_queued_run_is_lost_with_its_command(store: Store) -> None:
    run, command = entries.start(store), taken(store, "command", FAR)
    store.queue([run.id], FAR)
    let_it_pass(store, command)
    assert state(store).state == "lost"
    assert state(store).worker == FAR


@pytest.mark.parametrize("how", ["time is over", "process ended"])
def test_a_run_whose_process_is_gone_is_lost_and_the_next_one_says_so(store: Store, how: str) -> None:
    run, worker = entries.start(store), dead() if how == "process ended" else FAR
    lease = taken(store, "training", worker, run_id=run.id)
    if how == "time is over":
        assert state(store).state == "running"
        let_it_pass(store, lease)
    assert (state(store).state, state(store).worker) == ("lost", worker)
    again = taken(store, "training", HERE, run_id=run.id)
    assert (state(store).state, state(store).worker) == ("running", HERE)
    assert told(store) == [("running", worker.host), ("lost", worker.host), ("running", HERE.host)]
    assert worker.process.split()[0] in str(store.history(1)[1].reason)
    store.give_back([again], HERE, "cancelled", "Ctrl-C")
    assert (state(store).state, state(store).reason) == ("cancelled", "Ctrl-C")
    third = taken(store, "training", HERE, run_id=run.id)
    store.give_back([third], HERE, "preempted", "SIGTERM")
    assert state(store).state == "preempted"


def test_one_whose_lease_was_taken_over_changes_no_state(store: Store) -> None:
    run = entries.start(store)
    first = taken(store, "training", FAR, run_id=run.id)
    let_it_pass(store, first)
    taken(store, "training", HERE, run_id=run.id)
    store.give_back([first], FAR, "cancelled", "Ctrl-C")
    assert (state(store).state, state(store).worker) == ("running", HERE)


def test_a_run_of_an_older_version_that_nobody_trains_is_lost(store: Store) -> None:
    entries.start(store)
    assert state(store) == RunState("lost", None, None, OLDER)


@pytest.mark.parametrize("failure", [None, "no"])
def test_the_training_of_a_run_that_has_ended_is_not_taken(store: Store, failure: str | None) -> None:
    run = entries.start(store)
    store.end_run(run.id, failure)
    assert store.take("training", HERE, 60, run.id) is None
    assert isinstance(store.take("training", HERE, 60), Lease)


def test_a_removed_run_leaves_no_lease_and_no_state(store: Store) -> None:
    run = entries.start(store)
    lease = taken(store, "training", HERE, run_id=run.id)
    with pytest.raises(
        StoreError, match=rf"^run 1 is trained by {HERE.title} since ..:.. UTC: stop that first, or wait$"
    ):
        store.remove([run])
    let_it_pass(store, lease)
    store.remove([run])
    assert store.held([lease.item]) == []
    assert store.history(run.id) == []


def test_the_view_shows_the_newest_state(store: Store) -> None:
    run = entries.start(store)
    store.queue([run.id], FAR)
    store.end_run(run.id)
    with store._engine.connect() as connection:
        rows = connection.execute(text("SELECT run, state, newest FROM states_overview")).all()
    assert [tuple(row) for row in rows] == [(1, "queued", 0), (1, "done", 1)]
