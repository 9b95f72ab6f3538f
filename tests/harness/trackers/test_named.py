"""Names of trackers: what they stand for, and what is refused before anything is written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, UnknownName
from harness.trackers import named
from harness.trackers.apart import Apart
from harness.trackers.named import NAMED, trackers_of
from harness.trackers.tracker import Tracker
from tests.harness.trackers.story import Heard


def place_of(text: str) -> str:
    """What a named tracker is made of."""
    (tracker,) = trackers_of(text, Path("runs"))
    assert isinstance(tracker, Apart)
    module, cls, place = tracker._made_of
    assert (module, cls) == (NAMED[tracker.name].module, NAMED[tracker.name].cls)
    return place


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_places_by_hand(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of("tensorboard") == str(here / "runs" / "tensorboard")
    assert place_of("tensorboard:a/b") == str(here / "a" / "b")
    assert place_of("wandb") == "harness"
    assert place_of("wandb:mine") == "mine"
    assert place_of("wandb:team/mine") == "team/mine"
    assert place_of("mlflow") == "sqlite:///mlflow.db"
    assert place_of("mlflow:own.db") == f"sqlite:///{here}/own.db"
    assert place_of("mlflow:http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    assert place_of("mlflow") == "http://elsewhere"
    assert place_of("mlflow:databricks") == "databricks"
    assert list(here.iterdir()) == []  # nothing is made


def test_objects_and_names_side_by_side() -> None:
    heard = Heard()
    assert trackers_of([heard, "wandb"], Path("runs"))[0] is heard
    assert trackers_of(heard, Path("runs")) == (heard,)
    assert trackers_of((), Path("runs")) == ()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("tensorbord", "unknown tracker 'tensorbord'; did you mean 'tensorboard'? known: mlflow, tensorboard, wandb"),
        ("", "unknown tracker ''"),
        ("tensorboard:", "nothing stands after the colon"),
        ("tensorboard:file/logs", "tracker tensorboard cannot write to file/logs"),
        ("wandb:a/b/c", "write wandb:PROJECT or wandb:ENTITY/PROJECT"),
        ("wandb:a b?", "write wandb:PROJECT"),
        ("wandb:/a", "write wandb:PROJECT"),
        ("mlflow:folder", "a folder; name a file, such as mlflow:folder/mlflow.db"),
        ("mlflow:gone/own.db", "there is no folder"),
        ("mlflow:file/own.db", "tracker mlflow cannot write to"),
        (["wandb", "wandb"], "tracker 'wandb' is given twice"),
        (2 * ["mlflow:http://me:secret@host"], "tracker 'mlflow:http://***@host' is given twice"),
        ([Heard], "it is a class; give a name, or an object of a harness.Tracker"),
        ([print], "it is a builtin_function_or_method"),
        (Heard, "it is a class"),
        (7, "it is a int"),
    ],
    ids=str,
)
def test_refused_in_one_line(here: Path, given: Any, line: str) -> None:
    (here / "folder").mkdir()
    (here / "file").touch()
    with pytest.raises(HarnessError) as refused:
        trackers_of(given, Path("runs"))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert {file.name for file in here.iterdir()} == {"folder", "file"}


def test_an_unknown_name_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName):
        trackers_of("comet", Path("runs"))


@pytest.mark.parametrize("name", NAMED)
def test_a_library_that_is_missing_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(library: str) -> object:
        return None if library == NAMED[name].library else importlib.util.find_spec(library)

    monkeypatch.setattr(named, "find_spec", find_spec)
    with pytest.raises(HarnessError, match=rf"is not installed; run pip install 'robustness-harness\[{name}\]'"):
        trackers_of(name, Path("runs"))


def test_a_folder_of_the_library_s_name_is_not_the_library(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B keeps its files in a folder ``wandb``, which Python takes as a package where scripts run beside it."""
    (here / "no_such_library").mkdir()
    monkeypatch.syspath_prepend(here)
    assert importlib.util.find_spec("no_such_library") is not None
    assert not named._installed("no_such_library")
    assert named._installed("json")


@pytest.mark.parametrize("name", NAMED)
def test_its_class_is_there_and_has_its_name(name: str) -> None:
    cls = getattr(importlib.import_module(NAMED[name].module), NAMED[name].cls)
    assert issubclass(cls, Tracker)
    assert cls.name == name
