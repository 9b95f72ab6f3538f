"""A command's work on two runs side by side, as calls of a tracker; and trackers that keep or spoil what they hear."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.events import CurvePoint, EpochRecord, Finding, Histogram
from harness.trackers.outcomes import EvaluationDone
from harness.trackers.tracker import RunStatus, TrackedRun, Tracker

SETTINGS: dict[str, Any] = {
    "run": 1,
    "method": "sat",
    "method_settings": {},
    "training": {"lr": 0.1, "lr_drops": [0.5, 0.75], "start": "uniform"},
    "code": {"a (b)": "x"},
}
RUNS = [
    TrackedRun("run 1", "sat-tiny-s0", "sat-tiny", SETTINGS, ("paper", "two words")),
    TrackedRun("run 2", "sat-tiny-s1", "sat-tiny", SETTINGS | {"run": 2}),
]
PGD: dict[str, Any] = {"epsilon": 0.1, "steps": 20}
CURVE = (
    CurvePoint("test", "natural", {}, 40, 30, 0.5),
    CurvePoint("test", "pgd", PGD, 40, 13, 0.5),
    CurvePoint("train", "pgd", PGD, 40, 15, 0.5),
)
HISTOGRAM = Histogram("weights", 0.0, 2.0, (3, 0, 7, 1))
EPOCHS = [
    EpochRecord(1, 2.5, 0.1, 100, 0.5, {"flips (mean)": 0.25}),
    EpochRecord(2, 1.25, 0.01, 100, 0.25, {"flips (mean)": 0.75}, (HISTOGRAM,), CURVE),
]
EVALUATIONS = [
    EvaluationDone("run 1", "last", "natural", 0, 19, 20),
    EvaluationDone("run 1", "last", "pgd", 0, 11, 20),
    EvaluationDone("run 1", "last", "pgd", 1, 10, 20),
    EvaluationDone("run 1", "early", "pgd", 0, 9, 20),
]
FINDING = Finding("autoattack-gap", "flagged", "A", 9.0, 5.0, "PGD is 9 points above AutoAttack", {})

Call = tuple[str, tuple[Any, ...]]
CALLS: list[Call] = [
    ("run_began", (RUNS[0],)),
    ("epoch_done", (RUNS[0], EPOCHS[0])),
    ("run_began", (RUNS[1],)),
    ("epoch_done", (RUNS[1], EPOCHS[0])),
    ("epoch_done", (RUNS[0], EPOCHS[1])),
    ("progressed", (1, 4)),
    *(("evaluation_done", (RUNS[0], evaluation)) for evaluation in EVALUATIONS),
    ("flagged", (RUNS[0], "last", FINDING)),
    ("run_ended", (RUNS[0], "done", None)),
    ("run_ended", (RUNS[1], "failed", "a weight is not finite at epoch 2")),
]
METHODS = [*dict.fromkeys(name for name, _ in CALLS), "close"]


class Heard(Tracker):
    """Keeps the calls, and the threads that made them."""

    name = "heard"

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.threads: set[threading.Thread] = set()

    def _hear(self, method: str, *arguments: Any) -> None:
        self.calls.append((method, arguments))
        self.threads.add(threading.current_thread())

    def run_began(self, run: TrackedRun) -> str | None:
        self._hear("run_began", run)
        return f"see {run.name}"

    def epoch_done(self, run: TrackedRun, record: EpochRecord) -> None:
        self._hear("epoch_done", run, record)

    def progressed(self, done: int, of: int) -> None:
        self._hear("progressed", done, of)

    def evaluation_done(self, run: TrackedRun, evaluation: EvaluationDone) -> None:
        self._hear("evaluation_done", run, evaluation)

    def flagged(self, run: TrackedRun, checkpoint: str, finding: Finding) -> None:
        self._hear("flagged", run, checkpoint, finding)

    def run_ended(self, run: TrackedRun, status: RunStatus, reason: str | None) -> None:
        self._hear("run_ended", run, status, reason)

    def close(self) -> None:
        self._hear("close")


class Spoiled(Heard):
    """Does something else in one of its methods; ``place`` is ``METHOD HOW``."""

    name = "spoiled"

    def __init__(self, place: str) -> None:
        super().__init__()
        self.spoiled, self.how = place.split()
        self.abandoned = threading.Event()

    def _hear(self, method: str, *arguments: Any) -> None:
        super()._hear(method, *arguments)
        if method == self.spoiled:
            if self.how == "raises":
                raise OSError("the disk\nis full")
            if self.how == "exits":
                raise SystemExit(3)
            if self.how == "dies":
                os.write(2, b"some line\nSegmentation fault\n")
                os._exit(139)
            self.abandoned.wait()  # hangs

    def abandon(self) -> None:
        self.abandoned.set()


class Filed(Heard):
    """Writes each call into a file, at once: a line with the method, and what names the run or how it ended."""

    name = "filed"

    def __init__(self, place: str) -> None:
        super().__init__()
        self.file = Path(place)

    def _hear(self, method: str, *arguments: Any) -> None:
        words = [argument for argument in arguments if isinstance(argument, str)]
        keys = [argument.key for argument in arguments if isinstance(argument, TrackedRun)]
        with self.file.open("a") as file:
            print(method, *keys, *words, sep=", ", file=file)


@dataclass
class Told:
    """What a user was told."""

    notes: list[str]
    alerts: list[str]
