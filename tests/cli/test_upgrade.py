"""``harness upgrade``: what it says, and that the upgraded database has the figures that this version carries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.reference import reported_figures
from harness.store.store import Store
from tests.cli.conftest import Harness

OLD = sorted((Path(__file__).parents[1] / "assets").glob("schema-*.db"))


@pytest.mark.parametrize("old", OLD, ids=lambda file: file.stem)
def test_an_upgraded_database_reports_what_this_version_does(old: Path, tmp_path: Path, harness: Harness) -> None:
    file = Path(shutil.copy(old, tmp_path / "board.db"))
    assert harness(f"upgrade --db {file}").startswith("upgraded from schema ")
    store = Store.read(str(file))
    assert store.reported() == list(reported_figures())
    store.close()
    rows = json.loads(harness(f"leaderboard --db {file} --dataset svhn --format json"))["rows"]
    assert {row["metrics"]["pgd"]["n"] for row in rows} == {5}
    before = file.read_bytes()
    assert "already" in harness(f"upgrade --db {file}")
    assert file.read_bytes() == before
