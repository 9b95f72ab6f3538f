"""Trackers hear what a command does, as the store has it, and change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import harness
from harness.errors import HarnessError
from harness.events import EpochRecord
from harness.store.leases import Lease
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.trackers import tracking
from harness.trackers.outcomes import EvaluationDone
from harness.trackers.tracker import TrackedRun
from tests.harness.trackers.story import Call, Heard, Spoiled

pytestmark = pytest.mark.slow

DRAWS = '''
from dataclasses import dataclass

from torch import nn

from harness.plugin.network import Network, Shape


@dataclass(frozen=True, kw_only=True)
class Draws(Network):
    """A linear network with dropout, which draws from the global generators."""

    def build(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(shape.channels * shape.height * shape.width, 10))
'''
TINY: dict[str, Any] = {
    **{"dataset": "digits", "arch": "draws", "plugins": "draws.py", "epochs": 3, "seeds": 2, "limit": 20},
    **{"attacks": ["natural", "pgd"], "checks": False, "workers": 1},
    "set": {"block_size": 8, "batch_size": 500, "train.steps": 1, "evaluation.steps": 1},
}


@pytest.fixture(autouse=True)
def draws(elsewhere: Path) -> None:
    (elsewhere / "draws.py").write_text(DRAWS)


def stored(db: str | None = None) -> list[RunRecord]:
    store = Store.read(db)
    found = store.runs()
    store.close()
    return found


def of(calls: list[Call], method: str) -> list[Any]:
    """The last argument of each call of a method."""
    return [arguments[-1] for name, arguments in calls if name == method]


def epochs(calls: list[Call]) -> tuple[EpochRecord, ...]:
    """The epochs as a run's record has them: the store reads curve and histograms by a query of their own."""
    return tuple(replace(record, histograms=(), curve=()) for record in of(calls, "epoch_done"))


def test_they_hear_what_the_store_has() -> None:
    heard = Heard()
    harness.run("sat", **TINY, train_seeds=2, trackers=heard)
    runs = stored()
    begun: list[TrackedRun] = of(heard.calls, "run_began")
    assert [(run.key, run.name, run.group) for run in begun] == [
        (f"run {n}", f"sat-draws-digits-s{n - 1}", "sat-draws-digits") for n in (1, 2)
    ]
    for run, tracked in zip(runs, begun, strict=True):
        assert tracked.settings["identity"] == run.identity
        assert tracked.settings["training"] == run.training
        assert tracked.settings["evaluation"]["images"] == 20
        mine = [(name, arguments) for name, arguments in heard.calls if arguments[:1] == (tracked,)]
        assert epochs(mine) == run.epochs
        (checkpoint,) = [each for each in run.checkpoints if each.evaluations]
        told: list[EvaluationDone] = of(mine, "evaluation_done")
        assert {(e.checkpoint, e.attack, e.seed, e.percent, e.images) for e in told} == {
            (checkpoint.name, e.attack, e.seed, e.percent, 20) for e in checkpoint.evaluations
        }
        assert len(told) == 3  # natural, and pgd with two seeds: each once, whatever the number of its blocks
        assert mine[-1] == ("run_ended", (tracked, "done", None))
    assert of(heard.calls, "progressed")[-1] == 2 * 3 * 3  # networks, evaluations, blocks
    assert heard.calls[-1] == ("close", ())

    again = Heard()
    harness.run("sat", **TINY, train_seeds=2, trackers=again)
    assert again.calls == []  # nothing is computed, so nothing is told
    more = Heard()
    harness.run("sat", **(TINY | {"seeds": 3}), trackers=more)
    assert [name for name, _ in more.calls if name != "progressed"] == [
        "run_began",
        "evaluation_done",
        "run_ended",
        "close",
    ]


def test_an_evaluation_has_a_tracked_run_of_its_own_with_its_ball() -> None:
    harness.run("standard", **TINY)
    heard = Heard()
    report = harness.evaluate(
        "1:last",
        attacks=["pgd"],
        epsilon=0.01,
        seeds=1,
        limit=20,
        checks=True,
        workers=1,
        db="leaderboard.db",
        plugins="draws.py",
        trackers=[heard],
    )
    (run,) = of(heard.calls, "run_began")
    assert (run.key, run.name) == ("run 1", "standard-draws-digits-s0 evaluated")
    assert run.settings["evaluation"]["attacks"]["pgd"]["epsilon"] == 0.01
    told = {e.attack: e.percent for e in of(heard.calls, "evaluation_done")}
    assert told == {"pgd": report.accuracy_percent["pgd"]}  # the natural accuracy is stored
    flagged = {finding.check for finding in of(heard.calls, "flagged")}
    assert flagged == {row["check"] for row in report.findings if row["status"] == "flagged"}


def test_a_live_module_too() -> None:
    heard = Heard()
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    report = harness.evaluate(model, "digits", attacks=["pgd"], seeds=1, limit=20, checks=False, trackers=heard)
    assert [run.name for run in of(heard.calls, "run_began")] == ["Sequential evaluated"]
    told = {e.attack: e.percent for e in of(heard.calls, "evaluation_done")}
    assert told == {name: report.accuracy_percent[name] for name in ("natural", "pgd")}


def test_no_figure_and_no_generator_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """TensorBoard, a tracker that hears, and one that fails: weights and verdicts are equal to the last bit."""
    states, notes = [], []
    for db, trackers in (("without.db", ()), ("with.db", ("tensorboard", Heard(), Spoiled("epoch_done raises")))):
        torch.manual_seed(7)
        report = harness.run("sat", **TINY, db=db, runs_dir=db[:-3], trackers=trackers)
        assert not report.failures
        states.append(torch.random.get_rng_state())
        notes.append([note for note in report.notes if "tracker" in note])
    line = "tracker spoiled is off: OSError: the disk is full; the work goes on without it"
    assert notes == [[], [line]]
    assert capsys.readouterr() == ("", f"harness: {line}\n")
    assert torch.equal(*states)
    (without,), (with_,) = stored("without.db"), stored("with.db")
    assert [c.sha256 for c in without.checkpoints] == [c.sha256 for c in with_.checkpoints]
    assert [facts(epoch) for epoch in without.epochs] == [facts(epoch) for epoch in with_.epochs]
    assert {(e.attack, e.seed, e.correct) for c in without.checkpoints for e in c.evaluations} == {
        (e.attack, e.seed, e.correct) for c in with_.checkpoints for e in c.evaluations
    }
    (events,) = Path("with/tensorboard/run-1-sat-draws-digits-s0").iterdir()
    assert events.stat().st_size > 0


def facts(record: EpochRecord) -> tuple[Any, ...]:
    """An epoch without its time."""
    return record.epoch, record.loss, record.lr, record.images, record.diagnostics


def test_a_tracker_that_hangs_does_not_keep_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.1)
    spoiled = Spoiled("run_began hangs")
    assert harness.run("standard", **TINY, trackers=spoiled).trained == 1
    assert "a call has not returned for 0.1 s" in capsys.readouterr().err
    assert spoiled.abandoned.is_set()


def test_a_training_that_goes_on_is_told_whole_and_each_epoch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Store.add_epoch

    def stop(store: Store, run_id: int, record: EpochRecord, lease: Lease | None) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt
        keep(store, run_id, record, lease)

    first, second = Heard(), Heard()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            harness.run("standard", **TINY, trackers=first)
    assert [record.epoch for record in of(first.calls, "epoch_done")] == [1]
    assert first.calls[-2][1][1:] == ("stopped", None)
    harness.run("standard", **TINY, trackers=second)
    assert [record.epoch for record in of(second.calls, "epoch_done")] == [1, 2, 3]
    assert epochs(second.calls) == stored()[0].epochs


def test_a_failed_training_is_a_failed_run() -> None:
    heard = Heard()
    with pytest.warns(harness.RunFailed):
        harness.run("standard", **(TINY | {"set": {"train.lr": 1e38}}), trackers=heard)
    ((_, status, reason),) = [arguments for name, arguments in heard.calls if name == "run_ended"]
    assert status == "failed"
    assert reason == stored()[0].failure


def test_a_wrong_name_is_refused_before_anything_is_written(elsewhere: Path) -> None:
    for call in (harness.run, harness.evaluate):
        with pytest.raises(HarnessError, match="did you mean 'wandb'"):
            call("sat", dataset="digits", trackers="wandbb")
    assert {file.name for file in elsewhere.iterdir()} == {"draws.py"}
