"""Whatever a tracker does, in this process or in another one, the work goes on, and one line says what happened."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.events import EpochRecord
from harness.trackers.apart import Apart
from harness.trackers.guarded import GuardedTracker
from harness.trackers.tracker import TrackedRun, Tracker
from tests.harness.trackers.story import CALLS, METHODS, RUNS, Filed, Heard, Spoiled, Told

MODULE = Heard.__module__


def lived(tracker: Tracker, *, queued: int = 100, patience_s: float = 60.0) -> Told:
    """Make the calls of the story."""
    told = Told([], [])
    guarded = GuardedTracker(tracker, told.notes.append, told.alerts.append, queued=queued)
    for method, arguments in CALLS:
        guarded.call(method, *arguments)
    guarded.close(patience_s)
    return told


def apart(cls: type[Tracker], place: str) -> Apart:
    return Apart(cls.name, MODULE, cls.__name__, place)


def test_calls_come_in_order_from_one_other_thread_and_close_is_the_last() -> None:
    heard = Heard()
    told = lived(heard)
    assert heard.calls == [*CALLS, ("close", ())]
    assert len(heard.threads) == 1
    assert threading.current_thread() not in heard.threads
    assert (told.notes, told.alerts) == (["heard: see sat-tiny-s0"], [])  # one note, of the first run


def test_a_password_in_an_address_is_not_told() -> None:
    class Elsewhere(Heard):
        def run_began(self, run: TrackedRun) -> str | None:
            return "see http://me:sec@ret@host/a"

        def epoch_done(self, run: TrackedRun, record: EpochRecord) -> None:
            raise OSError("postgresql+psycopg://me:sec.ret@host:5432/a refuses x@y.z")

    told = lived(Elsewhere())
    assert told.notes == ["heard: see http://***@host/a"]
    reason = "OSError: postgresql+psycopg://***@host:5432/a refuses x@y.z"
    assert told.alerts == [f"tracker heard is off: {reason}; the work goes on without it"]


def test_a_tracker_that_is_never_called_starts_no_thread() -> None:
    heard = Heard()
    GuardedTracker(heard, print, print).close()
    assert heard.calls == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("how", "reason"), [("raises", "OSError: the disk is full"), ("exits", "SystemExit: 3")], ids=lambda value: value
)
def test_the_first_failure_is_told_once_and_ends_the_tracker(method: str, how: str, reason: str) -> None:
    spoiled = Spoiled(f"{method} {how}")
    told = lived(spoiled)
    assert told.alerts == [f"tracker spoiled is off: {reason}; the work goes on without it"]
    names = [name for name, _ in CALLS]
    before = names[: names.index(method) + 1] if method in names else names
    assert [name for name, _ in spoiled.calls] == [*before, "close"]
    assert not spoiled.abandoned.is_set()


@pytest.mark.parametrize("method", METHODS)
def test_a_tracker_that_hangs_is_given_up_at_the_end(method: str) -> None:
    spoiled = Spoiled(f"{method} hangs")
    told = lived(spoiled, patience_s=0.05)
    assert told.alerts == [
        "tracker spoiled is off: a call has not returned for 0.05 s; the work goes on without it",
    ]
    assert spoiled.abandoned.is_set()


def test_a_tracker_that_hangs_blocks_no_call_and_its_queue_has_an_end() -> None:
    spoiled, told = Spoiled("run_began hangs"), Told([], [])
    guarded = GuardedTracker(spoiled, told.notes.append, told.alerts.append, queued=5)
    guarded.call("run_began", RUNS[0])
    while not spoiled.calls:  # until the thread hangs in it
        time.sleep(0.001)
    for _ in range(1000):
        guarded.call("run_began", RUNS[0])
    assert told.alerts == [
        "tracker spoiled is off: it does not keep up: 5 calls wait for it; the work goes on without it"
    ]
    spoiled.abandon()  # it answers again, and is closed all the same
    guarded.close()
    assert spoiled.calls == [("run_began", (RUNS[0],)), ("close", ())]
    assert len(told.alerts) == 1


def test_slow_is_not_hanging() -> None:
    """However long all calls take together: the patience is for each. One call returns in each of its periods."""
    go = threading.Semaphore(0)

    class Slow(Heard):
        def progressed(self, done: int, of: int) -> None:
            go.acquire()
            super().progressed(done, of)

    class Period(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            before = guarded._returned
            go.release()
            while guarded._returned == before and not self.is_set():
                time.sleep(0.001)
            return self.is_set()

    slow, told = Slow(), Told([], [])
    guarded = GuardedTracker(slow, told.notes.append, told.alerts.append)
    guarded._ended = Period()
    for done in range(20):
        guarded.call("progressed", done, 20)
    guarded.close()
    assert told.alerts == []
    assert len(slow.calls) == 21


class TestApart:
    """In a process of its own."""

    def test_it_gets_the_calls_and_gives_what_they_return(self, tmp_path: Path) -> None:
        tracker = apart(Filed, str(tmp_path / "calls.txt"))
        told = lived(tracker)
        assert (told.notes, told.alerts) == (["filed: see sat-tiny-s0"], [])
        lines = (tmp_path / "calls.txt").read_text().splitlines()
        assert lines[0] == "run_began, run 1"
        assert lines[-3:] == [
            "run_ended, run 1, done",
            "run_ended, run 2, failed, a weight is not finite at epoch 2",
            "close",
        ]
        assert len(lines) == len(CALLS)  # ``progressed`` is not passed on; ``close`` is one more

    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            ("raises", "OSError: the disk is full"),
            ("exits", "SystemExit: 3"),
            ("dies", "its process ended with exit code 139: Segmentation fault"),
        ],
    )
    @pytest.mark.parametrize("method", ["run_began", "run_ended", "close"])
    def test_its_failure_is_told_and_its_process_is_gone(self, method: str, how: str, reason: str) -> None:
        tracker = apart(Spoiled, f"{method} {how}")
        told = lived(tracker)
        assert told.alerts == [f"tracker spoiled is off: {reason}; the work goes on without it"]
        assert tracker.ended

    @pytest.mark.parametrize("method", ["run_began", "close"])
    def test_a_process_that_hangs_is_killed(self, method: str) -> None:
        tracker = apart(Spoiled, f"{method} hangs")
        told = lived(tracker, patience_s=1.0)
        assert told.alerts == ["tracker spoiled is off: a call has not returned for 1 s; the work goes on without it"]
        assert tracker.ended

    def test_a_class_that_cannot_be_imported(self) -> None:
        told = lived(Apart("gone", "no_such_module", "Gone", ""))
        assert told.alerts == [
            "tracker gone is off: ModuleNotFoundError: No module named 'no_such_module'; the work goes on without it"
        ]

    def test_where_this_process_is_killed_it_ends_what_is_open(self, tmp_path: Path) -> None:
        file = tmp_path / "calls.txt"
        program = f"""
import os
from harness.trackers.apart import Apart
from tests.harness.trackers.story import CALLS
tracker = Apart("filed", {MODULE!r}, "Filed", {str(file)!r})
for method, arguments in CALLS[:4]:
    getattr(tracker, method)(*arguments)
os._exit(9)
"""
        ended = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=False)
        assert ended.returncode == 9
        while not file.read_text().endswith("close\n"):  # the test's own time limit is pytest's
            time.sleep(0.01)
        assert file.read_text().splitlines()[-3:] == ["run_ended, run 1, stopped", "run_ended, run 2, stopped", "close"]
