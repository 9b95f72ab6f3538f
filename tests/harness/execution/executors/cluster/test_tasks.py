"""What becomes of items whose tasks end in odd ways; the cluster is played by lists of messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ObjectStoreFullError, RayTaskError, TaskCancelledError, WorkerCrashedError

from harness.errors import HarnessError, LeaseLost
from harness.events import Began, Event, Noted
from harness.execution.executors.child import ItemEnded
from harness.execution.executors.cluster import capacity, executor
from harness.execution.executors.cluster.connection import Resources
from harness.execution.executors.cluster.executor import RayTasks
from harness.execution.executors.cluster.messages import FileMade
from harness.execution.work import TrainWork
from harness.store.leases import Lease, LeaseGuard
from harness.training.state_file import STATE_FILE
from tests.harness.execution.executors.cluster.sendable import training
from tests.harness.execution.executors.listed import Listed

DONE = [[Began("training of run 1"), ItemEnded(None)]]
DIES = [WorkerCrashedError()]
WAITS = [TaskCancelledError()]  # until it is cancelled
HANGS = [[Began("training of run 1")], TaskCancelledError()]  # between the two, until it is cancelled


class Gone(LeaseGuard):
    def __call__(self) -> None:
        raise LeaseLost("training of run 1")


class Ray:
    """A cluster whose tasks say what is written for them, one after the other."""

    def __init__(self, scripts: Sequence[Sequence[Any]]) -> None:
        self.scripts = iter(scripts)
        self.asked: list[float] = []  # cores, for each task
        self.waiting: list[Any] = []
        self.hanging: list[Any] = []
        self.deaf = 0  # requests to end a worker that get lost

    def remote(self, _: Any) -> Any:
        def made(**options: Any) -> Any:
            if "num_returns" not in options:  # the sign to stop
                return SimpleNamespace(remote=object)
            self.asked.append(options["num_cpus"])
            return SimpleNamespace(remote=lambda *_: self.begun(next(self.scripts)))

        return SimpleNamespace(options=made)

    def begun(self, script: Sequence[Any]) -> Iterator[Any]:
        stream = iter(script)
        self.waiting += [stream] if script is WAITS else []
        self.hanging += [stream] if script is HANGS else []
        return stream

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0" * 56)

    def wait(self, streams: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        ready = [stream for stream in streams if all(stream is not one for one in self.waiting)]
        return ready, [stream for stream in streams if stream not in ready]

    def get(self, said: Any) -> Any:
        if isinstance(said, Exception):
            raise said
        self.waiting, self.hanging = self.waiting + self.hanging, []
        return said

    def put(self, value: Any) -> Any:
        return value

    def cancel(self, stream: Any, *, force: bool = False) -> None:
        """A task that has ended is not changed by it; one that waits for ever says so."""
        self.deaf -= 1
        if self.deaf < 0:
            self.waiting = [one for one in self.waiting if one is not stream]


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(capacity, "resources", lambda: Resources(1, 0, 1, 1, 0))
    monkeypatch.setattr(capacity, "_ASK_S", 0.0)
    monkeypatch.setattr(capacity, "head_answers", lambda: True)

    def made(*scripts: Sequence[Any]) -> RayTasks:
        monkeypatch.setattr(executor, "ray", Ray(scripts))
        return RayTasks(None)

    return made


def outcomes(tasks: RayTasks, work: TrainWork, heard: list[Event]) -> Iterator[HarnessError | None]:
    for outcome in tasks.run(Listed([work]), heard.append):
        yield outcome.error


def test_an_item_that_was_lost_after_its_task_had_ended_is_lost_and_no_bug(tasks: Any, tmp_path: Path) -> None:
    work = training(tmp_path / "home", guard=Gone("", Lease("training of run 1", 1, 1)))
    heard: list[Event] = []
    (error,) = outcomes(tasks([[FileMade(STATE_FILE, b"late")], [ItemEnded(None)]]), work, heard)
    assert isinstance(error, LeaseLost)
    assert list((tmp_path / "home").iterdir()) == []


def test_deaths_at_trainings_do_not_count_at_the_attacks_that_follow(tasks: Any, tmp_path: Path) -> None:
    heard: list[Event] = []
    some = tasks(DIES, DIES, DONE, DIES, DIES, DONE, DIES, DIES, DIES)
    assert list(outcomes(some, training(tmp_path), heard)) == [None]
    assert list(outcomes(some, training(tmp_path), heard)) == [None]
    assert len([event for event in heard if isinstance(event, Noted)]) == 4
    (error,) = outcomes(some, training(tmp_path), heard)
    assert str(error).startswith("its worker process ended; so did 2 before it")


def test_an_item_that_waits_for_more_cores_than_any_machine_has_asks_for_less(
    tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, narrow, none = Resources(8, 0, 8, 0, 0), Resources(4, 0, 4, 4, 0), Resources(0, 0, 0, 0, 0)
    there = [*[wide] * 4, *[none] * 4]  # the wide machine leaves, and then a narrow one comes
    monkeypatch.setattr(capacity, "resources", lambda: there.pop(0) if there else narrow)
    some = tasks(WAITS, DONE)
    heard: list[Event] = []
    assert list(outcomes(some, training(tmp_path, threads=16), heard)) == [None]
    assert vars(executor)["ray"].asked == [8.0, 4.0]
    notes = [event.text for event in heard if isinstance(event, Noted)]
    assert notes == ["no machine of the cluster has 8 cores any more: training of run 1 is done again"]


def test_a_worker_that_cannot_import_what_it_needs_is_told_in_one_line(tasks: Any, tmp_path: Path) -> None:
    text = "ray::performed()\n  File task.py\nModuleNotFoundError: No module named 'torch'\n"
    kind: Any = RayTaskError
    failed = kind("performed", text, RuntimeError("the function failed to import"))
    with pytest.raises(HarnessError) as told:
        list(outcomes(tasks([failed]), training(tmp_path), []))
    assert str(told.value) == (
        "a worker of the cluster cannot begin its work: ModuleNotFoundError: No module named 'torch'; install there"
        " what is here, in the same versions"
    )


def test_a_late_worker_that_was_not_ended_is_ended_again(
    tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_END_S", 0.01)
    some = tasks(HANGS)
    some._limit_s = 0.03
    vars(executor)["ray"].deaf = 2
    (error,) = outcomes(some, training(tmp_path), [])
    assert str(error) == "it took more than 0.0005 minutes, and was ended"
    assert vars(executor)["ray"].deaf == -1


def test_a_cluster_without_room_for_the_images_is_told_in_one_line(
    tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = tasks()

    def full(_value: Any) -> Any:
        raise ObjectStoreFullError("Failed to put object")

    monkeypatch.setattr(vars(executor)["ray"], "put", full)
    with pytest.raises(HarnessError, match="the Ray cluster's memory on this machine has no room: "):
        list(outcomes(some, training(tmp_path), []))
