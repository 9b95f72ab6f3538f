"""Executors: the same outcomes from this process and from several; bugs, mistakes, and deaths told apart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from harness.errors import HarnessError, Stopped, TrainingFailed, WorkerLost
from harness.events import CheckpointDone, Event, Noted, Report
from harness.execution.executors import processes
from harness.execution.executors.carried import WorkerBug
from harness.execution.executors.executor import Executor, InProcess, Performed
from harness.execution.executors.processes import DEATHS, Processes
from harness.execution.work import Work
from harness.planning.assessment import DatasetPlace
from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop
from tests.harness.execution.executors.listed import Listed


@dataclass(frozen=True, kw_only=True)
class Toy(Work):
    """Reports twice, then ends as it is told."""

    run_id: int
    end: str = "fine"

    def _perform(self, report: Report) -> None:
        for epoch in (1, 2):
            report(CheckpointDone(self.run_id, "toy", epoch, f"{os.getpid()} {torch.get_num_threads()} {self.device}"))
        if self.end == "mistake":
            raise TrainingFailed("the loss is not finite", 3, 4)
        if self.end == "bug":
            raise ZeroDivisionError("a bug")
        before = self.folder / "before"
        if self.end == "death" or (self.end == "death once" and not before.exists()):
            before.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.end == "stop":
            deadline = time.monotonic() + 20
            while not asked_to_stop() and time.monotonic() < deadline:
                time.sleep(0.02)
            if asked_to_stop():
                raise Stopped("stopped")
        if self.end == "sleep":
            time.sleep(600)
        if self.end == "orphan once" and not before.exists():
            before.touch()
            if os.fork() == 0:
                os.closerange(0, 3)  # so that nobody waits for its output
                time.sleep(90)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)


def toy(folder: Path, run_id: int, end: str = "fine") -> Toy:
    return Toy(
        run_id=run_id,
        dataset_fingerprint="",
        place=DatasetPlace(source="digits", settings={}, data_dir=folder),
        folder=folder / str(run_id),
        device=torch.device("cpu"),
        threads=1,
        plugins=(),
        end=end,
    )


def perform(executor: Executor, works: Sequence[Toy]) -> tuple[list[Performed[Toy]], list[CheckpointDone]]:
    events: list[Event] = []
    with executor:
        outcomes = list(executor.run(Listed(works), events.append))
    return outcomes, [event for event in events if isinstance(event, CheckpointDone)]


@pytest.mark.parametrize("workers", [0, 2], ids=["in process", "two processes"])
def test_every_item_is_done_once_and_mistakes_are_outcomes(workers: int, tmp_path: Path) -> None:
    works = [toy(tmp_path, i, "mistake" if i == 2 else "fine") for i in range(5)]
    outcomes, events = perform(Processes(workers) if workers else InProcess(), works)
    assert sorted(outcome.work.run_id for outcome in outcomes) == [0, 1, 2, 3, 4]
    assert sorted((event.run_id, event.epoch) for event in events) == [(i, e) for i in range(5) for e in (1, 2)]
    (failed,) = [outcome for outcome in outcomes if outcome.error is not None]
    assert failed.work.run_id == 2
    assert isinstance(failed.error, TrainingFailed)
    assert (failed.error.epoch, failed.error.batch) == (3, 4)
    elsewhere = {event.sha256.split()[0] for event in events} - {str(os.getpid())}
    assert bool(elsewhere) == bool(workers)
    assert {event.sha256.split()[1] for event in events} == {"1"}
    assert all((tmp_path / str(i) / "log.txt").exists() for i in range(5))


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug"):
        perform(InProcess(), [toy(tmp_path, 0, "bug")])
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        perform(Processes(1), [toy(tmp_path, 0, "bug")])
    assert isinstance(caught.value.__cause__, WorkerBug)
    assert re.search(r'(?s)Traceback.*raise ZeroDivisionError\("a bug"\)', str(caught.value.__cause__))


def test_an_item_whose_worker_dies_is_done_again_and_given_up_at_the_third_death(tmp_path: Path) -> None:
    works = [toy(tmp_path, 0, "death"), toy(tmp_path, 1, "death once"), toy(tmp_path, 2)]
    events: list[Event] = []
    with Processes(2) as executor:
        outcomes = list(executor.run(Listed(works), events.append))
    lost, *others = sorted(outcomes, key=lambda one: one.work.run_id)
    assert [(one.work.run_id, one.error) for one in others] == [(1, None), (2, None)]
    assert isinstance(lost.error, WorkerLost)
    assert str(lost.error) == "a worker process ended with exit code -9 (often: out of memory); so did 2 before it"
    by_run = {n: [e for e in events if isinstance(e, CheckpointDone) and e.run_id == n] for n in range(3)}
    assert [len({event.sha256 for event in by_run[n]}) for n in range(3)] == [DEATHS, 2, 1] == [3, 2, 1]
    assert [event.epoch for event in by_run[1]] == [1, 2, 1, 2]
    again = f"a worker process ended with exit code -9 (often: out of memory): {tmp_path}/%d is done again"
    assert sorted(event.text for event in events if isinstance(event, Noted)) == [again % 0, again % 0, again % 1]


@pytest.mark.slow
def test_an_item_that_takes_too_long_is_given_up_at_once(tmp_path: Path) -> None:
    works = [toy(tmp_path, 0, "sleep"), *(toy(tmp_path, number) for number in range(1, 4))]
    outcomes, events = perform(Processes(2, limit_s=6.0), works)
    (lost,) = [one for one in outcomes if one.error is not None]
    assert lost.work.run_id == 0
    assert str(lost.error) == "it took more than 0.1 minutes, and was ended"
    assert len([event for event in events if event.run_id == 0]) == 2  # of one try
    assert len(outcomes) == 4


@pytest.mark.slow
def test_an_item_that_ended_in_time_counts_though_this_process_was_busy(tmp_path: Path) -> None:
    """Its end waits behind other events, for instance while the database is locked."""
    events: list[Event] = []

    def busy(event: Event) -> None:
        time.sleep(1.5 if isinstance(event, CheckpointDone) else 0)
        events.append(event)

    with Processes(1, limit_s=2.0) as executor:
        outcomes = list(executor.run(Listed([toy(tmp_path, 0)]), busy))
    assert [one.error for one in outcomes] == [None]
    assert len([event for event in events if isinstance(event, CheckpointDone)]) == 2


@pytest.mark.slow
def test_a_death_is_seen_though_a_process_of_the_items_lives_on(tmp_path: Path) -> None:
    """The child of a plugin's ``fork`` has the worker's end of the pipe, too."""
    began = time.monotonic()
    outcomes, _ = perform(Processes(1), [toy(tmp_path, 0, "orphan once")])
    assert [one.error for one in outcomes] == [None]
    assert time.monotonic() - began < 80


def test_workers_that_end_before_they_begin_end_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_serve", os.kill)  # it takes two numbers, and not what a worker is given
    with pytest.raises(HarnessError, match=r"3 worker processes ended with exit code 1 before .* fewer --workers"):
        perform(Processes(1), [toy(tmp_path, 0)])


@pytest.mark.slow
def test_each_worker_has_a_device_of_its_own(tmp_path: Path) -> None:
    """``cpu:0`` and ``cpu:1`` are two names of the processor: they stand for two devices."""
    devices = [torch.device("cpu", 0), torch.device("cpu", 1)]
    events: list[Event] = []

    def works() -> Iterator[Toy | None]:
        yield from (toy(tmp_path, number, "stop") for number in range(4))
        while len({event.sha256.split()[0] for event in events if isinstance(event, CheckpointDone)}) < 4:
            yield None
        ask_to_stop("test")

    try:
        with Processes(4, devices) as executor:
            list(executor.run(Listed(works()), events.append))
    finally:
        take_back_stop()
    words = [event.sha256.split() for event in events if isinstance(event, CheckpointDone)]
    by_process = {process: device for process, _, device in words}
    assert sorted(by_process.values()) == ["cpu:0", "cpu:0", "cpu:1", "cpu:1"]


@pytest.fixture
def nobody_asks() -> Iterator[None]:
    yield
    take_back_stop()


@pytest.mark.usefixtures("nobody_asks")
def test_a_stop_waits_for_no_worker_that_has_died(tmp_path: Path) -> None:
    events: list[Event] = []
    executor = Processes(1)

    def works() -> Iterator[Toy | None]:
        yield toy(tmp_path, 0, "sleep")
        while not any(isinstance(event, CheckpointDone) for event in events):
            yield None
        (worker,) = executor._workers.values()
        worker.process.kill()
        worker.process.join()
        ask_to_stop("SIGTERM")

    outcomes: list[Performed[Toy]] = []

    def run() -> None:
        with executor:
            outcomes.extend(executor.run(Listed(works()), events.append))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert ["ended with exit code -9" in str(one.error) for one in outcomes] == [True]


@pytest.mark.slow
@pytest.mark.usefixtures("nobody_asks")
def test_every_worker_is_told_to_stop(tmp_path: Path) -> None:
    events: list[Event] = []

    def works() -> Iterator[Toy | None]:
        yield from (toy(tmp_path, number, "stop") for number in range(2))
        while {event.run_id for event in events if isinstance(event, CheckpointDone)} != {0, 1}:
            yield None
        ask_to_stop("SIGTERM")

    with Processes(2) as executor:
        ended = list(executor.run(Listed(works()), events.append))
    assert [type(one.error) for one in ended] == [Stopped, Stopped]


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "from pathlib import Path\n"
        "from harness.execution.executors.processes import Processes\n"
        "from tests.harness.execution.executors.test_executors import Listed, toy\n"
        "if __name__ == '__main__':\n"
        f"    works = Listed([toy(Path({str(tmp_path)!r}), i, 'sleep') for i in range(2)])\n"
        "    with Processes(2) as executor:\n"
        "        list(executor.run(works, lambda e: hasattr(e, 'sha256') and print(e.sha256.split()[0], flush=True)))\n"
    )
    root = Path(__file__).parents[4]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(4)}
        parent.kill()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in workers)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
