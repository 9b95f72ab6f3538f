"""The Python interface takes places and plugins from the project's configuration, and no defaults of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import harness
from harness.api import running
from harness.api.workplace import Workplace
from harness.errors import HarnessError, SettingError
from harness.planning.request import RunRequest
from tests.cli.sources import METHOD


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunRequest, Workplace]]:
    """What ``harness.run`` asks the engine for, which refuses."""
    seen: list[tuple[RunRequest, Workplace]] = []

    def plan(request: RunRequest, place: Workplace, **_: Any) -> Any:
        seen.append((request, place))
        raise HarnessError("seen")

    monkeypatch.setattr(running, "plan_runs", plan)
    return seen


def test_run_takes_places_and_plugins_and_nothing_else(
    elsewhere: Path, planned: list[tuple[RunRequest, Workplace]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "mine.py").write_text(METHOD)
    (elsewhere / "harness.toml").write_text(
        'db = "kept.db"\nruns-dir = "weights"\ndata-dir = "images"\nplugins = ["mine.py"]\n[run]\nepochs = 3'
    )
    (elsewhere / "below").mkdir()
    monkeypatch.chdir(elsewhere / "below")

    def asked(**given: Any) -> tuple[RunRequest, Workplace]:
        with pytest.raises(HarnessError, match="seen"):
            harness.run("sat", **given)
        return planned.pop()

    request, place = asked()
    assert (place.db, place.runs_dir) == (str(elsewhere / "kept.db"), elsewhere / "weights")
    assert (request.data_dir, request.plugins) == (elsewhere / "images", (elsewhere / "mine.py",))
    assert request.epochs is None
    request, place = asked(db="other.db", runs_dir="w", data_dir="i", plugins="third.py")
    assert (place.db, place.runs_dir, request.data_dir) == ("other.db", Path("w"), Path("i"))
    assert request.plugins == (elsewhere / "mine.py", Path("third.py"))
    for name, value in {"DB": "v.db", "RUNS_DIR": "vw", "DATA_DIR": "vi"}.items():
        monkeypatch.setenv(f"HARNESS_{name}", value)
    request, place = asked()
    assert (place.db, place.runs_dir, request.data_dir) == (None, Path("vw"), Path("vi"))  # None: the variable
    monkeypatch.setenv("HARNESS_CONFIG", "none")
    for name in ("DB", "RUNS_DIR", "DATA_DIR"):
        monkeypatch.delenv(f"HARNESS_{name}")
    request, place = asked()
    assert (place.db, place.runs_dir, request.data_dir, request.plugins) == (None, Path("runs"), Path("data"), ())


def test_a_place_that_a_variable_overrules_is_noted(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "harness.toml").write_text('runs-dir = "weights"')
    monkeypatch.setenv("HARNESS_RUNS_DIR", "other")
    report = harness.run("sat", dataset="digits", arch="smallcnn", device="cpu", limit=10, dry_run=True)
    said = f"HARNESS_RUNS_DIR=other holds, and not runs-dir = {elsewhere / 'weights'} of harness.toml"
    assert said in report.notes


def test_open_opens_the_project_s_database(file: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with harness.open(file) as results:
        expected = len(results.runs())
    assert expected
    (elsewhere / "harness.toml").write_text('db = "results.db"')
    (elsewhere / "below").mkdir()
    monkeypatch.chdir(elsewhere / "below")
    with harness.open() as results:
        assert len(results.runs()) == expected
    monkeypatch.setenv("HARNESS_DB", "gone.db")
    with harness.open() as results:
        assert len(results.runs()) == 0


def test_a_database_of_the_configuration_may_not_be_there_yet(elsewhere: Path) -> None:
    (elsewhere / "harness.toml").write_text('db = "later.db"')
    with harness.open() as results:
        assert len(results.runs()) == 0
    assert not (elsewhere / "later.db").exists()


@pytest.mark.parametrize("text", ["= 5", "dbb = 'x'", "db = 5", "plugins = ['gone.py']"])
def test_a_configuration_that_is_refused(elsewhere: Path, text: str) -> None:
    (elsewhere / "harness.toml").write_text(text)
    for call in (harness.open, lambda: harness.run("sat"), lambda: harness.evaluate("x.pt", "digits")):
        with pytest.raises(SettingError, match=r"harness\.toml"):
            call()
