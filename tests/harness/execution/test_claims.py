"""Two commands side by side: each item of work is done once, the other command waits, and a lost item is taken up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, LeaseLost, PluginFault, Stopped, StoreFault
from harness.events import BlockDone, Ended, EpochDone, Event, Noted, TrainingBegan, training_key
from harness.execution import claimed
from harness.execution.claims import Claims
from harness.execution.summary import Summary
from harness.execution.trainings import Trainings
from harness.planning.missing import find_missing
from harness.runtime import stopping
from harness.store.leases import VARIABLE, Lease, lease_seconds
from harness.store.store import Store
from tests.harness.execution.asked import conduct, jobs
from tests.harness.store.holders import FAR, let_it_pass, taken


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.write(str(tmp_path / "results.db"))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(claimed, "_LOOK_AGAIN_S", 0.05)
    yield
    stopping.take_back_stop()


def one_job() -> Any:
    return jobs(methods=("standard",), train_seeds=1)


def leases(store: Store) -> list[str]:
    """All items that somebody holds."""
    with store._engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT item FROM leases ORDER BY id").scalars())


def later(tmp_path: Path, do: Callable[[Store], None]) -> threading.Thread:
    """Do something in another thread, with a store of its own, after a moment."""

    def act() -> None:
        other = Store.write(str(tmp_path / "results.db"))
        do(other)
        other.close()

    thread = threading.Timer(0.5, act)
    thread.start()
    return thread


def opened_run(store: Store, tmp_path: Path) -> int:
    """The number of the job's run, which another command has opened."""

    def stop(event: Event) -> None:
        if isinstance(event, TrainingBegan):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conduct(find_missing(one_job(), store), store, tmp_path, stop)
    (run,) = store.runs()
    return run.id


def test_what_another_process_trains_is_waited_for_and_told_once(store: Store, tmp_path: Path) -> None:
    number = opened_run(store, tmp_path)
    theirs = taken(store, training_key(number), FAR, run_id=number)
    told: list[Event] = []
    thread = later(tmp_path, lambda other: other.give_back([theirs], FAR, "cancelled", "Ctrl-C"))
    summary = conduct(find_missing(one_job(), store), store, tmp_path, told.append)
    thread.join()
    assert summary.trained == 1
    (note,) = [event.text for event in told if isinstance(event, Noted)]
    assert note.startswith(f"process 17 on elsewhere has training of run {number} at work since ")
    assert note.endswith("this command does the rest, and waits for what is held")
    states = [one.state for one in store.history(number)]
    assert states == ["queued", "running", "cancelled", "running", "queued", "cancelled", "running", "done"]
    assert leases(store) == []


def test_a_run_that_another_process_ends_is_not_trained_again(store: Store, tmp_path: Path) -> None:
    number = opened_run(store, tmp_path)
    theirs = taken(store, training_key(number), FAR, run_id=number)
    thread = later(tmp_path, lambda other: other.end_run(number, "the loss is not finite", theirs))
    told: list[Event] = []
    summary = conduct(find_missing(one_job(), store), store, tmp_path, told.append)
    thread.join()
    assert summary.trained == 0
    assert [event.key for event in told if isinstance(event, Ended)] == [training_key(number)]
    assert summary.failures[number].startswith("the loss is not finite")


def test_a_run_that_another_process_trains_and_this_one_cannot_is_told(store: Store, tmp_path: Path) -> None:
    number = opened_run(store, tmp_path)
    theirs = taken(store, training_key(number), FAR, run_id=number)
    (gap,) = find_missing(one_job(), store).runs
    refused = [(replace(gap, refusal=PluginFault("its prepare fails")), store.run(number))]
    told: list[Event] = []
    with Claims(store, told.append) as claims:
        trainings = Trainings(store, tmp_path, told.append, Summary(), claims)
        trainings.refuse(refused)
        store.end_run(number, lease=theirs)
        trainings.refuse(refused)
    assert [event.text for event in told if isinstance(event, Noted)] == [
        f"run {number} cannot be trained here, and process 17 on elsewhere trains it: its prepare fails",
        f"run {number} cannot be trained here, and another process has trained it: its prepare fails",
    ]
    assert store.run(number).status == "done"


def test_a_block_that_another_process_attacks_is_left_to_it(store: Store, tmp_path: Path) -> None:
    """Two networks' worth of blocks: one block is held, and done by its holder."""
    conduct(find_missing(jobs(methods=("standard",), train_seeds=1, attacks=("natural",)), store), store, tmp_path)
    missing = find_missing(one_job(), store)
    (checkpoint,) = [c for c in store.run(1).checkpoints if c.name == "last"]
    (gap,) = [gap for gap in missing.runs[0].models[0].attacks if gap.attack == "pgd"]
    settings = missing.runs[0].job.attack_settings("pgd")
    evaluation = store.open_evaluation(checkpoint.id, "pgd", settings, gap.seed, 16, sample="balanced")
    theirs = taken(store, f"evaluation {evaluation}, image 8", FAR)
    verdicts = bytes([1, 0] * 4)
    thread = later(tmp_path, lambda other: other.add_block(BlockDone(evaluation, 8, verdicts, 1.0, ()), theirs))
    summary = conduct(missing, store, tmp_path)
    thread.join()
    assert summary.blocks == 1  # of two
    assert store.verdicts(evaluation)[8:] == verdicts
    assert len(store.verdicts(evaluation)) == 16
    assert leases(store) == []


def test_a_training_whose_lease_was_lost_is_taken_up_again_to_the_same_weights(tmp_path: Path) -> None:
    found = []
    for name in ("whole", "lost"):
        (tmp_path / name).mkdir()
        store = Store.write(str(tmp_path / name / "results.db"))
        lost = [name == "lost"]
        notes: list[str] = []

        def listen(event: Event, store: Store = store, lost: list[bool] = lost, notes: list[str] = notes) -> None:
            if isinstance(event, Noted):
                notes.append(event.text)
            if isinstance(event, EpochDone) and event.record.epoch == 1 and lost[0]:
                lost[0] = False
                let_it_pass(store, Lease("", 2))  # the first is the command's

        summary = conduct(
            find_missing(jobs(methods=("sat",), train_seeds=1, epochs=3), store), store, tmp_path / name, listen
        )
        assert summary.trained == 1
        (run,) = store.runs()
        found.append([(c.name, c.sha256) for c in run.checkpoints])
        states = [one.state for one in store.history(run.id)]
        store.close()
    assert found[0] == found[1]
    assert states == ["queued", "running", "lost", "running", "done"]
    (note,) = [text for text in notes if "stood still" in text]
    assert note.startswith("the training of run 1 is not this process's any more: ")


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (KeyboardInterrupt(), "cancelled", "Ctrl-C"),
        (Stopped("stopped by SIGTERM"), "preempted", "stopped by SIGTERM"),
        (HarnessError("the disk is full"), "lost", "the command ended: the disk is full"),
        (ZeroDivisionError("a bug"), "lost", "the command ended: ZeroDivisionError: a bug"),
    ],
)
def test_what_was_in_training_when_the_command_ended_says_why(
    store: Store, tmp_path: Path, error: BaseException, state: str, reason: str
) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, EpochDone):
            raise error

    with pytest.raises(type(error)):
        conduct(find_missing(one_job(), store), store, tmp_path, listen)
    (run,) = store.runs()
    now = store.states([run])[run.id]
    assert (now.state, now.reason) == (state, reason)
    assert leases(store) == []
    assert conduct(find_missing(one_job(), store), store, tmp_path).trained == 1


def test_no_item_is_begun_after_a_request_to_stop(store: Store, tmp_path: Path) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, BlockDone):
            pytest.fail("the conductor keeps blocks to itself")
        if isinstance(event, TrainingBegan):
            stopping.ask_to_stop("SIGTERM")

    with pytest.raises(Stopped):
        conduct(find_missing(jobs(methods=("standard",)), store), store, tmp_path, listen)
    first, second = store.runs()
    assert second.epochs == ()
    assert {e.done for c in first.checkpoints for e in c.evaluations} <= {0}
    assert leases(store) == []


def test_leases_are_renewed_while_work_goes_on_and_through_a_locked_database(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "3")
    with Claims(store, lambda _event: None) as claims:
        lease = claims.take("a")
        assert isinstance(lease, Lease)
        for _ in range(3):
            threading.Event().wait(1.5)
            assert [held.item for held in store.held(["a"])] == ["a"]
        with store._engine.execution_options(harness_begin="IMMEDIATE").begin():
            threading.Event().wait(1.0)  # a third of its time
        threading.Event().wait(1.0)
        assert [held.item for held in store.held(["a"])] == ["a"]
    assert leases(store) == []


def test_a_store_that_fails_is_told_and_a_bug_in_the_renewal_ends_the_work(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [ZeroDivisionError("a bug"), StoreFault("the database is locked")]
    renew, renewed = store.renew, threading.Semaphore(0)

    def fails(leases: Iterable[Lease], seconds: float) -> None:
        renewed.release()
        if errors:
            raise errors.pop()
        renew(leases, seconds)

    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setattr(store, "renew", fails)
    told: list[Event] = []
    with Claims(store, told.append) as claims:
        claims.take("a")
        assert renewed.acquire(timeout=5)
        assert renewed.acquire(timeout=5)
        claims._thread.join(5)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            claims.keep("a", lambda _lease: pytest.fail("nothing renews its lease"))
    assert [one.text for one in told if isinstance(one, Noted)] == [
        "the leases were not renewed: the database is locked"
    ]


def test_a_store_in_memory_is_left_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    memory, threads = Store.in_memory(), threading.active_count()
    with Claims(memory, lambda _event: None) as claims:
        assert isinstance(claims.take("a"), Lease)
        assert threading.active_count() == threads
        threading.Event().wait(1.1)
        assert claims.keep("a", lambda lease: memory.give_back([lease], FAR, "lost", None))
    memory.close()


@pytest.mark.parametrize("text", ["0", "-1", "nan", "two", "86401", "1e9", "inf", "9" * 5000])
def test_a_lease_of_no_sensible_time_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(HarnessError, match=r"^HARNESS_LEASE_S=.* is refused: it is a number of seconds from 1 to"):
        lease_seconds()


def test_a_result_without_a_lease_is_not_kept(store: Store) -> None:
    told: list[Event] = []
    with Claims(store, told.append) as claims:
        assert not claims.keep("a", lambda _lease: pytest.fail("it is not held"))
        assert isinstance(claims.take("b"), Lease)

        def refused(_lease: Lease) -> None:
            raise LeaseLost("b")

        assert not claims.keep("b", refused)
        assert not claims.keep("b", lambda _lease: pytest.fail("it was lost"))
    assert [one.text.split(" is not")[0] for one in told if isinstance(one, Noted)] == ["the a", "the b"]
