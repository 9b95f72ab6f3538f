"""What trackers are told of the events of a command: by hand."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.events import EpochDone, EvaluationProgress, Event, TrainingBegan
from harness.trackers.outcomes import EvaluationDone, FindingsKept, OwnerClosed, OwnerOpened
from harness.trackers.tracking import Tracking
from tests.harness.trackers.story import EPOCHS, EVALUATIONS, FINDING, RUNS, SETTINGS, Call, Heard

OPENED = [
    OwnerOpened("run 1", "sat-tiny-s0", "sat-tiny", SETTINGS, ("paper", "two words")),
    OwnerOpened("run 2", "sat-tiny-s1", "sat-tiny", SETTINGS | {"run": 2}),
]


def told(*events: Event, error: BaseException | None = None) -> list[Call]:
    """What a tracker hears of a command's events; the command ends with the error, if there is one."""
    heard, alerts = Heard(), list[str]()
    ends = contextlib.nullcontext() if error is None else pytest.raises(type(error))
    with ends, Tracking([heard], lambda _: None, alerts.append) as tracking:
        for event in events:
            tracking(event)
        if error is not None:
            raise error
    assert alerts == []
    return heard.calls


def epoch(number: int, run: int = 1) -> EpochDone:
    return EpochDone(run, f"sat-tiny-s{run - 1}", 3, replace(EPOCHS[0], epoch=number))


def test_a_run_begins_when_a_worker_takes_it_and_is_ended_once() -> None:
    end = OwnerClosed("run 1")
    assert told(*OPENED, TrainingBegan(1, {}), epoch(1), end, end) == [
        ("run_began", (RUNS[0],)),
        ("epoch_done", (RUNS[0], EPOCHS[0])),
        ("run_ended", (RUNS[0], "done", None)),
        ("close", ()),
    ]


def test_epochs_that_a_resumed_training_reports_again_are_told_once() -> None:
    """As a training reports that is taken up twice in one command; each run has its own count."""
    numbers = [(1, 1), (1, 2), (2, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    calls = told(*OPENED, *(epoch(number, run) for run, number in numbers))
    epochs = [(a[0].key, a[1].epoch) for name, a in calls if name == "epoch_done"]
    assert epochs == [("run 1", 1), ("run 1", 2), ("run 2", 1), ("run 1", 3), ("run 2", 2)]


def test_evaluations_and_what_warns_are_told_of_open_runs_alone() -> None:
    passed = replace(FINDING, status="passed")
    unknown = EvaluationDone("run 3", "last", "pgd", 0, 1, 20)
    kept = FindingsKept("run 1", "last", (passed, FINDING, replace(FINDING, status="not-applicable")))
    progress = EvaluationProgress("sat-tiny-s0", "last", "pgd", 0, 1, 4)
    calls = told(OPENED[0], progress, EVALUATIONS[1], unknown, kept, FindingsKept("run 3", "last", (FINDING,)))
    assert calls[:-2] == [
        ("progressed", (1, 4)),
        ("run_began", (RUNS[0],)),
        ("evaluation_done", (RUNS[0], EVALUATIONS[1])),
        ("flagged", (RUNS[0], "last", FINDING)),
    ]


def test_a_training_that_fails_before_a_worker_takes_it_is_a_failed_run() -> None:
    assert told(*OPENED, OwnerClosed("run 2", "no gradient"))[:-1] == [
        ("run_began", (RUNS[1],)),
        ("run_ended", (RUNS[1], "failed", "no gradient")),
    ]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "stopped", None),
        (HarnessError("the weights are gone"), "failed", "the weights are gone"),
        (ZeroDivisionError("a bug"), "failed", "ZeroDivisionError: a bug"),
        (None, "stopped", None),
    ],
)
def test_a_command_that_ends_early_ends_what_is_under_way(
    error: BaseException | None, status: str, reason: str | None
) -> None:
    calls = told(*OPENED, epoch(1), error=error)
    assert calls[-2:] == [("run_ended", (RUNS[0], status, reason)), ("close", ())]
    assert sum(name == "run_ended" for name, _ in calls) == 1  # the other one has not begun


def test_without_events_nothing_is_called() -> None:
    assert told() == told(*OPENED) == []


def test_a_tracker_that_fails_takes_nothing_from_another_one() -> None:
    class Failing(Heard):
        name = "failing"

        def epoch_done(self, run: object, record: object) -> None:
            raise OSError("no connection")

    heard, alerts = Heard(), list[str]()
    with Tracking([Failing(), heard], lambda _: None, alerts.append) as tracking:
        for event in (*OPENED, epoch(1), epoch(2), OwnerClosed("run 1")):
            tracking(event)
    assert [name for name, _ in heard.calls] == ["run_began", "epoch_done", "epoch_done", "run_ended", "close"]
    assert alerts == ["tracker failing is off: OSError: no connection; the work goes on without it"]
