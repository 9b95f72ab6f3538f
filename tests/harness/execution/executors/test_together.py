"""Processes that train one network together: one outcome, and none that waits for ever for one that failed or died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import HarnessError, Stopped, TrainingFailed
from harness.events import CheckpointDone, Event, Report
from harness.execution.executors.carried import WorkerBug
from harness.execution.executors.executor import InProcess, Performed
from harness.execution.executors.together import Together, trainers
from harness.execution.work import TrainWork
from harness.planning.assessment import DatasetPlace
from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop
from tests.harness.execution.executors.listed import Listed
from tests.harness.training.given import dataset, spec

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Toy(TrainWork):
    """Talks to the others, then ends as it is told, in one process or in all."""

    end: str = "fine"
    at: int | None = None  # of the process that ends so; None: all

    def _perform(self, report: Report) -> None:
        ranks = [int(each) for each in self.peers.gathered(torch.tensor([self.peers.rank]))]
        report(CheckpointDone(self.run_id, "toy", self.peers.rank, f"{ranks} {os.getpid()} {self.device}"))
        if self.at in (None, self.peers.rank):
            if self.end == "mistake":
                raise TrainingFailed("the loss is not finite", 3, 4 + self.peers.rank)
            if self.end == "bug":
                raise ZeroDivisionError("a bug")
            if self.end == "death":
                os.kill(os.getpid(), signal.SIGKILL)
        if self.end == "stop":
            while not self.peers.asked_to_stop():
                time.sleep(0.02)
            raise Stopped("stopped")
        self.peers.gathered(torch.zeros(1))  # all wait here for one that is gone


def toy(folder: Path, run_id: int, end: str = "fine", at: int | None = None) -> Toy:
    return Toy(
        run_id=run_id,
        spec=spec(dataset()),
        dataset_fingerprint="",
        place=DatasetPlace(source="digits", settings={}, data_dir=folder),
        folder=folder / str(run_id),
        device=CPU,
        threads=1,
        plugins=(),
        end=end,
        at=at,
    )


@contextmanager
def ended_in_the_body() -> Iterator[None]:
    """No process that is started in the body is left after it; other tests may have some."""
    before = set(multiprocessing.active_children())
    try:
        yield
    finally:
        assert set(multiprocessing.active_children()) <= before


def perform(works: list[Toy]) -> tuple[list[Performed[TrainWork]], list[CheckpointDone]]:
    events: list[Event] = []
    with ended_in_the_body(), Together((CPU, CPU)) as executor:
        outcomes = list(executor.run(Listed(works), events.append))
    return outcomes, [event for event in events if isinstance(event, CheckpointDone)]


def test_the_first_process_alone_reports_and_the_processes_stay(tmp_path: Path) -> None:
    outcomes, events = perform([toy(tmp_path, 0), toy(tmp_path, 1)])
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [(event.run_id, event.epoch) for event in events] == [(0, 0), (1, 0)]
    assert all(event.sha256.startswith("[0, 1] ") for event in events)
    assert len({event.sha256 for event in events} - {str(os.getpid())}) == 1
    assert all((tmp_path / str(run_id) / "log.txt").exists() for run_id in (0, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("at", "batch"), [(None, 4), (0, 4), (1, 5)])
def test_a_mistake_is_an_outcome_and_the_next_training_is_done(
    at: int | None, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.execution.executors.together._GRACE_S", 0.5)
    (first, second), events = perform([toy(tmp_path, 0, "mistake", at), toy(tmp_path, 1)])
    assert isinstance(first.error, TrainingFailed)
    assert first.error.batch == batch
    assert second.error is None
    assert len(events) == 2


@pytest.mark.parametrize("at", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_death_of_a_process_ends_the_others(at: int, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=rf"process {at + 1} of the 2 that train .* ended with exit code -9"):
        perform([toy(tmp_path, 0, "death", at)])


@pytest.mark.slow
def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        perform([toy(tmp_path, 0, "bug")])
    assert isinstance(caught.value.__cause__, WorkerBug)


@pytest.fixture
def nobody_asks() -> Iterator[None]:
    yield
    take_back_stop()


@pytest.mark.slow
@pytest.mark.usefixtures("nobody_asks")
def test_all_stop_when_somebody_asks(tmp_path: Path) -> None:
    def ask(event: Event) -> None:
        if isinstance(event, CheckpointDone):
            ask_to_stop("SIGTERM")

    with Together((CPU, CPU)) as executor:
        (outcome,) = executor.run(Listed([toy(tmp_path, 0, "stop")]), ask)
    assert asked_to_stop()
    assert isinstance(outcome.error, Stopped)


def test_one_device_needs_no_processes_of_its_own() -> None:
    own: Any = InProcess()
    with trainers((CPU,), own) as chosen:
        assert chosen is own
    with trainers((CPU, CPU), own) as chosen:
        assert isinstance(chosen, Together)
