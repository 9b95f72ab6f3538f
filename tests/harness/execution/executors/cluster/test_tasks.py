"""What becomes of items whose tasks end in odd ways; the cluster is played by lists of messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import WorkerCrashedError

from harness.errors import HarnessError, LeaseLost
from harness.events import Began, Event, Noted
from harness.execution.executors.cluster import capacity, executor
from harness.execution.executors.cluster.connection import Resources
from harness.execution.executors.cluster.executor import RayTasks
from harness.execution.executors.cluster.messages import FileMade, ItemEnded
from harness.execution.work import TrainWork
from harness.store.leases import Lease, LeaseGuard
from harness.training.state_file import STATE_FILE
from tests.harness.execution.executors.cluster.sendable import training

DONE = [[Began("training of run 1"), ItemEnded(None)]]
DIES = [WorkerCrashedError()]


class Gone(LeaseGuard):
    def __call__(self) -> None:
        raise LeaseLost("training of run 1")


class Ray:
    """A cluster whose tasks say what is written for them, one after the other."""

    def __init__(self, scripts: Sequence[Sequence[Any]]) -> None:
        self.scripts = iter(scripts)

    def remote(self, what: Any) -> Any:
        made = SimpleNamespace(remote=lambda *_: what if isinstance(what, type) else iter(next(self.scripts)))
        return SimpleNamespace(options=lambda **_: made)

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0" * 56)

    def wait(self, streams: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return streams, []

    def get(self, said: Any) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    def put(self, value: Any) -> Any:
        return value

    def cancel(self, _stream: Any, *, force: bool = False) -> None:
        """A task that has ended is not changed by it."""

    def kill(self, _actor: Any) -> None: ...


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(capacity, "resources", lambda: Resources(1, 0, 1, 1, 0))
    monkeypatch.setattr(capacity, "head_answers", lambda: True)

    def made(*scripts: Sequence[Any]) -> RayTasks:
        monkeypatch.setattr(executor, "ray", Ray(scripts))
        return RayTasks(None)

    return made


def outcomes(tasks: RayTasks, work: TrainWork, heard: list[Event]) -> Iterator[HarnessError | None]:
    for outcome in tasks.run([work], heard.append):
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
