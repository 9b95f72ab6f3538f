"""Tuning: equal trials on images held out, pruned early, gone on with after a stop, and no test image in any trial."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.api import trying
from harness.api.studies import STARTUP, Study
from harness.api.trying import tuned
from harness.api.tuned_methods import TunedMethod, TunedTrial
from harness.api.tuning import plan_tuning
from harness.api.workplace import Workplace
from harness.errors import HarnessError
from harness.events import Began, CheckpointDone, Ended, Event
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.store import Store
from harness.store.validated import validated_epochs

PLUGIN = '''
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from harness.plugin.method import Method


@dataclass(frozen=True, kw_only=True)
class Weak(Method):
    """Cross-entropy of the clean images, times a strength; a weak one breaks."""

    strength: Annotated[float, Interval(ge=0, le=1)] = 1.0

    def loss(self, step):
        broken = float("nan") if 0.4 < self.strength < 0.6 else 1.0
        return (self.strength * broken * step.cross_entropy(step.model(step.x))).mean()
'''
TURNING = '''
from dataclasses import dataclass

from harness.plugin.method import Method


@dataclass(frozen=True, kw_only=True)
class Turning(Method):
    """Cross-entropy of the clean images, and in the last third of the training its negative."""

    def loss(self, step):
        loss = step.cross_entropy(step.model(step.x)).mean()
        return loss if step.progress < 2 / 3 else -0.3 * loss
'''
EPOCHS = 3


def request(file: Path, **changes: Any) -> RunRequest:
    values = ("train.validation=200", "train.validation_steps=1", "width=2", f"train.epochs={EPOCHS}", "train.lr=0.05")
    asked = RunRequest(
        methods=("weak", "standard"),
        network="smallcnn",
        dataset="digits",
        values=(*values, "train.batch_size=64"),
        attacks=("natural", "fgsm"),
        seeds=1,
        limit=20,
        checks=False,
        device="cpu",
        plugins=(file,),
    )
    return dataclasses.replace(asked, **changes)


class Broken(Exception):
    """What ends a command in its middle."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "weak.py"
    made.write_text(PLUGIN)
    return made


def test_trials_are_pruned_and_gone_on_with_and_only_the_best_setting_meets_test_images(
    file: Path, tmp_path: Path
) -> None:
    db = tmp_path / "tuned.db"
    place = Workplace(db=str(db), runs_dir=tmp_path / "runs", workers=1)
    notes: list[str] = []
    tuning = plan_tuning(request(file), 9, 3, count_only=False, note=notes.append)
    assert notes == ["standard has no setting to search: its one trial has its defaults"]

    trained: list[int] = []
    began: set[str] = set()
    ended: set[str] = set()

    def listen(event: Event) -> None:
        if isinstance(event, Began):
            began.add(event.key)
        if isinstance(event, Ended):
            ended.add(event.key)
        if isinstance(event, CheckpointDone) and event.name == "last":
            trained.append(event.run_id)
            if len(trained) == 4:
                raise Broken

    with pytest.raises(Broken):
        tuned(tuning, place, listen, notes.append)
    weak, standard = tuned(tuning, place, listen, notes.append)
    assert len(trained) - len(set(trained)) == 1  # the one that was broken off reports its checkpoint again
    assert [len(one.trials) for one in (weak, standard)] == [9, 1]
    assert weak.trials[0].settings == {"strength": 1.0}
    assert weak.count("pruned") >= 1
    assert began == ended  # a trial that is pruned is shown no longer
    assert weak.count("failed") == sum(0.4 < trial.settings["strength"] < 0.6 for trial in weak.trials) >= 1
    store = Store.read(str(db))
    runs = {run.id: run for run in store.runs()}
    for trial in weak.trials:
        run = runs[trial.run or 0]
        reached = validated_epochs(((e.epoch, e.diagnostics) for e in run.epochs), run.training)
        assert run.method_settings["strength"] == trial.settings["strength"]
        if trial.percent is not None:
            assert trial.percent == reached[-1].robust_percent
            assert len(reached) == EPOCHS
        if trial.state == "pruned":
            assert trial.number > STARTUP
            assert len(reached) < EPOCHS
        assert not any(checkpoint.evaluations for checkpoint in run.checkpoints)
        assert not any(epoch.curve for epoch in run.epochs)
        assert (run.train_seed, run.tags) == (TRIAL_SEED, ("trial",))
    assert weak.best.percent == max(trial.percent for trial in weak.trials if trial.percent is not None)
    store.close()

    again: dict[str, Any] = {"trials": 9, "sampler_seed": 3, "plugins": file, "device": "cpu", "workers": 1}
    asked = request(file)
    set_ = dict(text.split("=") for text in asked.values)
    report = harness.tune(
        asked.methods,
        dataset="digits",
        arch="smallcnn",
        attacks=asked.attacks,
        seeds=1,
        limit=20,
        checks=False,
        set=set_,
        db=db,
        runs_dir=tmp_path / "runs",
        **again,
    )
    assert [trial["settings"] for trial in report.methods[0]["trials"]] == [dict(t.settings) for t in weak.trials]
    assert report.methods[0]["best"]["percent"] == weak.best.percent
    with harness.open(db) as results:
        found = {row["run"]: row for row in results.runs()}
        assert len(found) == len(runs) + 2
        tags = {found[number]["method"].split("@")[0]: found[number]["tags"] for number in report.runs}
        assert tags == {"weak": ["tuned-trials-9"], "standard": []}
        assert {found[number]["train_seed"] for number in report.runs} == {0}
        assert {row["networks"] for row in results.leaderboard(source="measured")} == {1}


def test_a_trial_is_judged_at_the_checkpoint_that_ranks(tmp_path: Path) -> None:
    file = tmp_path / "turning.py"
    file.write_text(TURNING)
    place = Workplace(db=str(tmp_path / "tuned.db"), runs_dir=tmp_path / "runs", workers=1)
    found: dict[str, float | None] = {}
    for checkpoint in ("early", "best", "last"):  # of one training
        asked = request(file, methods=("turning",))
        asked = dataclasses.replace(asked, values=(*asked.values, f"evaluation.checkpoints={checkpoint}"))
        tuning = plan_tuning(asked, 5, 0, count_only=False, note=lambda _: None)
        (one,) = tuned(tuning, place, lambda _: None, lambda _: None)
        found[checkpoint] = one.best.percent
    store = Store.read(str(tmp_path / "tuned.db"))
    (run,) = store.runs()
    store.close()
    epochs = validated_epochs(((e.epoch, e.diagnostics) for e in run.epochs), run.training)
    first, early, last = (one.robust_percent for one in epochs)
    assert last < early
    assert found == {"early": early, "best": max(first, early), "last": last}


def test_of_equal_trials_the_earliest_is_the_best() -> None:
    percents = (50.0, None, 60.0, 60.0)
    trials = [TunedTrial(n, {}, "failed" if p is None else "done", p, n) for n, p in enumerate(percents, 1)]
    assert TunedMethod("weak", {}, tuple(trials)).best.number == 3


FEW = """
from dataclasses import dataclass

from harness.plugin.method import Method


@dataclass(frozen=True, kw_only=True)
class Few(Method):
    \"\"\"Cross-entropy of the clean images; of two settings with two values each, one combination is refused.\"\"\"

    first: bool = False
    second: bool = False

    def check(self):
        if self.first and self.second:
            raise SettingError("not both")

    def loss(self, step):
        return step.cross_entropy(step.model(step.x)).mean()
""".replace("from harness.plugin.method", "from harness.errors import SettingError\nfrom harness.plugin.method", 1)


def test_settings_that_were_tried_are_no_trial_and_the_search_ends_where_there_are_no_others(tmp_path: Path) -> None:
    (file := tmp_path / "few.py").write_text(FEW)
    notes: list[str] = []
    asked = dataclasses.replace(request(file), methods=("few",))
    tuning = plan_tuning(asked, 8, 0, count_only=False, note=notes.append)
    events: list[Event] = []
    place = Workplace(db=str(tmp_path / "few.db"), runs_dir=tmp_path / "runs", workers=1)
    (few,) = tuned(tuning, place, events.append, notes.append)
    tried = [(trial.settings["first"], trial.settings["second"]) for trial in few.trials]
    assert tried[0] == (False, False)
    assert sorted(tried) == [(False, False), (False, True), (True, False)]
    assert notes[-1] == "few: no more settings than those of 3 trials are found"
    trained = {event.run_id for event in events if isinstance(event, CheckpointDone)}
    assert len(trained) == 3


@pytest.mark.parametrize("seed", range(3))
def test_a_choice_that_was_refused_is_refused_once(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that goes together is tried; refusals that are drawn again end no search with an error."""
    (file := tmp_path / "few.py").write_text(FEW)
    asked = dataclasses.replace(request(file), methods=("few",))
    tuning = plan_tuning(asked, 4, seed, count_only=False, note=print)
    settled: list[dict[str, Any]] = []

    def trial(self: Any, number: int, settings: dict[str, Any], job: RunJob) -> TunedTrial:
        settled.append(settings)
        self.repeated = 0
        self.study.tell(50.0)
        return TunedTrial(number, settings, "done", 50.0, number)

    monkeypatch.setattr(trying._Trials, "_trial", trial)
    notes: list[str] = []
    place = Workplace(db=str(tmp_path / "few.db"), runs_dir=tmp_path / "runs", workers=1)
    tuned(tuning, place, print, notes.append)
    assert len(settled) == 3
    assert notes[-1] == "few: no more settings than those of 3 trials are found"


@pytest.mark.parametrize(
    ("values", "trials", "said"),
    [
        (("width=2",), 3, "tune is refused without images held out"),
        (("train.validation=100",), 0, "--trials 0 is refused"),
    ],
)
def test_what_is_refused(values: tuple[str, ...], trials: int, said: str, file: Path) -> None:
    with pytest.raises(HarnessError, match=said):
        plan_tuning(request(file, values=values), trials, 0, count_only=True, note=lambda _: None)


def test_a_setting_that_is_set_is_not_searched_and_without_optuna_one_line_says_what_to_install(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = request(file)
    tuning = plan_tuning(
        dataclasses.replace(asked, values=(*asked.values, "strength=0.3")), 9, 0, count_only=True, note=lambda _: None
    )
    assert tuning.searched["weak"] == {}
    document = tuning.document(Workplace(db=str(tmp_path / "none.db"), runs_dir=tmp_path))
    passes = {one["method"]: one["training_passes_at_most"] for one in document["methods"]}
    held = 200 * EPOCHS  # images held out: PGD of one step, and a pass for each accuracy
    assert passes["weak"] == {"forward": 1237 * EPOCHS + 3 * held, "backward": 1237 * EPOCHS + held}
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(HarnessError, match=r"pip install 'robustness-harness\[tune\]'"):
        Study({}, {}, 0, 1)


def test_the_trials_take_teachers_from_the_same_place_as_the_runs_with_the_best(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def plan(request: RunRequest, *_: object, **__: object) -> None:
        assert (request.db, request.runs_dir) == (str(tmp_path / "own.db"), tmp_path / "own")
        assert (request.norm, request.epsilon) == ("L2", "0.5")
        raise Broken

    monkeypatch.setattr("harness.api.tuning.plan_tuning", plan)
    places: dict[str, Any] = {"db": tmp_path / "own.db", "runs_dir": tmp_path / "own"}
    with pytest.raises(Broken):
        harness.tune("ard", trials=2, set={"teacher": 1}, epsilon=0.5, norm="L2", **places)
