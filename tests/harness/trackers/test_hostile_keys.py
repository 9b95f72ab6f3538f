"""Hostile labels in what each tracker is sent: keys and names cannot act, and no figure goes under another's key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.events import CurvePoint, EpochRecord, Finding, Histogram
from harness.trackers.metrics import accuracy_key, key_of, scalars, seed_key
from harness.trackers.mlflow import Mlflow
from harness.trackers.outcomes import EvaluationDone
from harness.trackers.tensorboard import TensorBoard
from harness.trackers.tracker import TrackedRun, Tracker
from harness.trackers.wandb import WeightsAndBiases
from tests.hostile_labels import LABELS, PLAIN, TWINS, unseen

NAMES = [*dict.fromkeys([*LABELS, *PLAIN, *(name for pair in TWINS for name in pair)])]


class Sent:
    """Takes every call, and keeps the texts in it: keys and names, values that are texts, and settings as they came."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.settings: list[Any] = []

    def take(self, *values: Any, **named: Any) -> Any:
        self.settings += [named.pop("config")] if "config" in named else []
        for value in (*values, *named.values()):
            self._keep(value)
        return SimpleNamespace(info=SimpleNamespace(run_id="1"), experiment_id="1", url="there", dir="")

    def _keep(self, value: Any) -> None:
        if isinstance(value, str):
            self.texts.append(value)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._keep(key)
                self._keep(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._keep(item)

    def __getattr__(self, _name: str) -> Any:
        return self.take

    def __setitem__(self, key: str, value: Any) -> None:
        self.take(key, value)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What the libraries are sent; each is a stand-in that takes anything."""
    found = Sent()
    began = SimpleNamespace(
        summary=found, log=found.take, finish=found.take, url="there", dir="", init=lambda **named: None
    )

    def init(**named: Any) -> Any:
        found.take(**named)
        return began

    wandb, tracking, entities = ModuleType("wandb"), ModuleType("mlflow.tracking"), ModuleType("mlflow.entities")
    vars(wandb).update(init=init, Settings=lambda **_: None, Histogram=lambda **_: None)
    vars(tracking).update(MlflowClient=lambda **_: found)
    vars(entities).update(Param=lambda key, _: found.take(key), Metric=lambda key, *_: found.take(key))
    for name, module in {"wandb": wandb, "mlflow.tracking": tracking, "mlflow.entities": entities}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", lambda _: found)
    return found


def trackers(folder: Path) -> Iterator[Tracker]:
    yield WeightsAndBiases("mine")
    yield Mlflow("sqlite:///own.db")
    yield TensorBoard(str(folder))


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_nothing_that_acts_is_sent(label: str, sent: Sent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_DISABLE_TELEMETRY", "WANDB_ERROR_REPORTING", "WANDB_INIT_TIMEOUT"):
        monkeypatch.setenv(name, "true")
    settings = {label: label, "training": {label: [label]}}
    run = TrackedRun("run 1", label, label, settings, ("plain",))
    curve = (CurvePoint("test", label, {}, 40, 30, 0.5),)
    record = EpochRecord(1, 2.5, 0.1, 100, 0.5, {label: 0.25}, (Histogram(label, 0.0, 2.0, (3, 1)),), curve)
    for tracker in trackers(tmp_path):
        before = len(sent.texts)
        tracker.run_began(run)
        tracker.epoch_done(run, record)
        tracker.evaluation_done(run, EvaluationDone("run 1", label, label, 0, 19, 20))
        tracker.flagged(run, label, Finding(label, "flagged", "A", 1.0, 0.5, label, {}))
        tracker.run_ended(run, "failed", label)
        assert [text for text in sent.texts[before:] if unseen(text)] == [], tracker.name
        assert [text for text in sent.texts[before:] if "\n" in text and not text.startswith("    ")] == [], (
            tracker.name
        )
        assert len(sent.texts) - before >= 10
    assert sent.settings == [settings]  # data: as they are


def test_no_two_figures_have_one_key() -> None:
    records = [EpochRecord(1, 1.0, 0.1, 1, 1.0, dict.fromkeys(NAMES, 0.5))]
    keys = [key for record in records for key in scalars(record)]
    assert len(keys) == len(NAMES) + 3
    parts = ["a", "b", "a/b", "/", r"a\x2fb", "a\\", *NAMES]
    pairs = [*product(parts, repeat=2)]
    assert len({key_of("curve", *pair) for pair in pairs}) == len(pairs)
    done = [EvaluationDone("run 1", one, other, seed, 1, 2) for one, other in pairs for seed in (0, 1)]
    assert len({accuracy_key(one) for one in done}) == len(pairs)
    assert len({seed_key(one) for one in done}) == len(done)


@pytest.mark.parametrize("name", ["flips (mean)", "loss/adversarial", "été", "a_b.c-d"])
def test_ordinary_names_are_keys_as_they_are(name: str) -> None:
    assert key_of("diagnostics", name) == f"diagnostics/{name}"
    assert seed_key(EvaluationDone("run 1", "last", "pgd-20", 3, 1, 2)) == "accuracy/last/pgd-20/seed 3"
