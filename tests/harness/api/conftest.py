"""A database to open, and no database of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.api.results import Results
from harness.api.results import open as open_results
from tests.harness.api.stored import fill


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no variable of the user's."""
    for name in ("HARNESS_DB", "HARNESS_PLUGINS", "HARNESS_RUNS_DIR", "HARNESS_DATA_DIR", "HARNESS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("filled") / "results.db"
    fill(path)
    return path.read_bytes()


@pytest.fixture
def file(tmp_path: Path, filled: bytes) -> Path:
    path = tmp_path / "results.db"
    path.write_bytes(filled)
    return path


@pytest.fixture
def results(file: Path) -> Iterator[Results]:
    with open_results(file) as opened:
        yield opened
