"""An exception that crosses a process border is the one that was raised, or the nearest that can be made."""

from __future__ import annotations

import pickle
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import torch

from harness.errors import HarnessError, PluginError, PluginFault, TrainingFailed, TrainingStopped, UnknownName
from harness.events import Report
from harness.execution.executors.carried import Carried, WorkerBug
from harness.execution.executors.executor import Executor, InProcess
from harness.execution.executors.processes import Processes
from harness.execution.work import Work
from harness.planning.assessment import DatasetPlace
from harness.plugin.method import Method
from harness.registry.catalogue import discover
from harness.registry.faults import blaming
from tests.harness.execution.executors.listed import Listed


class Wordy(HarnessError):
    """Its arguments are not what it holds, so that pickle alone cannot make it again."""

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(f"{what} is refused: {rule}")
        self.rule = rule


class Doubling(PluginError):
    """Pickle alone makes it again with a longer text."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not {what}")


class Holding(PluginFault):
    """Holds what no pickle takes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class Breaking(ValueError):
    """Breaks wherever it is looked at, and holds what no pickle takes."""

    def __init__(self) -> None:
        super().__init__(threading.Lock())

    def __str__(self) -> str:
        raise RuntimeError("no text")


def across(error: BaseException) -> BaseException:
    """The exception as another process reads it."""
    return cast(Carried, pickle.loads(pickle.dumps(Carried.of(error)))).exception()


@pytest.mark.parametrize(
    "error",
    [
        HarnessError("a line"),
        Wordy("epsilon=8", "pixels are in [0, 1]"),
        Doubling("this"),
        TrainingFailed("the loss is not finite", 3, 4),
        TrainingStopped("sat-digits-smallcnn-0", "in epoch 3 of 4, after update 5 of 9", saved=False),
        UnknownName("method", "satt", ["sat"]),
        KeyError("gone"),
        FileNotFoundError(2, "No such file or directory", "weights.pt"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_class_text_and_attributes_arrive(error: BaseException) -> None:
    error.add_note("a note")
    found = across(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert repr(found.args) == repr(error.args)
    assert vars(found) == vars(error)


def test_the_cause_arrives_and_so_does_what_caused_that() -> None:
    error = PluginFault("method 'mine': it raised")
    error.__cause__ = Wordy("one", "two")
    error.__cause__.__cause__ = KeyError("three")
    found = across(error)
    assert isinstance(found.__cause__, Wordy)
    assert found.__cause__.rule == "two"
    assert isinstance(found.__cause__.__cause__, KeyError)
    assert found.__cause__.__cause__.__cause__ is None


def test_a_circle_of_causes_has_an_end() -> None:
    error = KeyError("one")
    error.__cause__ = ValueError("two")
    error.__cause__.__cause__ = error
    assert isinstance(across(error).__cause__, ValueError)


def test_what_cannot_cross_arrives_as_the_nearest_class_with_its_text() -> None:
    found = across(Holding("in one line"))
    assert type(found) is PluginFault
    assert str(found) == "in one line"

    class Local(TrainingFailed):
        """Cannot be found by its name."""

    found = across(Local("the loss is not finite", 3, None))
    assert type(found) is HarnessError  # which takes a text alone
    assert str(found) == "the loss is not finite at epoch 3"


def test_a_bug_that_cannot_cross_arrives_as_its_traceback() -> None:
    try:
        raise Breaking
    except Breaking as error:
        found = across(error)
    assert type(found) is WorkerBug
    assert "raise Breaking" in str(found)


# ---- a plugin's own class, from a real process

PLUGIN = '''
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.plugin.method import Method


class Refused(HarnessError):
    def __init__(self, what, rule):
        super().__init__(f"{what}: {rule}")
        self.rule = rule


class Broken(Exception):
    pass


@dataclass(frozen=True, kw_only=True)
class Mine(Method):
    """Does not learn."""

    def refuse(self):
        raise Refused("this", "not that")

    def loss(self, step):
        raise Broken(len("abc"))
'''


@dataclass(frozen=True, kw_only=True)
class Raising(Work):
    """Has the plugin raise: its own mistake, or its own bug under the engine's blame, or an event that cannot cross."""

    end: str

    def _perform(self, report: Report) -> None:
        mine = cast(Method, discover("methods", self.plugins).get("mine")())
        if self.end == "mistake":
            mine.refuse()  # type: ignore[attr-defined]
        if self.end == "event":
            report(threading.Lock())  # type: ignore[arg-type]
        with blaming([mine]):
            mine.loss(None)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, "1", "2"], ids=["in process", "hash seed 1", "hash seed 2"])
def test_a_plugins_own_exceptions_arrive_as_the_classes_that_they_are_here(
    seed: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    module = sys.modules[discover("methods", (file,)).get("mine").__module__]
    works = [
        Raising(
            place=DatasetPlace(source="digits", settings={}, data_dir=tmp_path),
            dataset_fingerprint="",
            folder=tmp_path / end,
            device=torch.device("cpu"),
            threads=1,
            plugins=(file,),
            end=end,
        )
        for end in ("mistake", "bug")
    ]
    executor: Executor = InProcess()
    if seed is not None:
        monkeypatch.setenv("PYTHONHASHSEED", seed)  # of the workers: at least one of the two is not this process's
        executor = Processes(1)
    with executor:
        refused, blamed = (outcome.error for outcome in executor.run(Listed(works), lambda _event: None))
    assert type(refused) is module.Refused
    assert (str(refused), vars(refused)) == ("this: not that", {"rule": "not that"})
    assert type(blamed) is PluginFault
    assert type(blamed.__cause__) is module.Broken
    assert str(blamed.__cause__) == "3"


def test_an_event_that_cannot_cross_is_a_bug_and_nobody_waits_for_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    work = Raising(
        place=DatasetPlace(source="digits", settings={}, data_dir=tmp_path),
        dataset_fingerprint="",
        folder=tmp_path,
        device=torch.device("cpu"),
        threads=1,
        plugins=(file,),
        end="event",
    )
    with Processes(1) as executor, pytest.raises(TypeError, match="pickle"):
        list(executor.run(Listed([work]), lambda _event: None))
