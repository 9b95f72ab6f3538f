"""``harness db``: what its commands say, and what they leave."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from harness.reference import reported_figures
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness, Refused
from tests.first_board import FIRST_BOARD

OLD = sorted((Path(__file__).parents[1] / "assets").glob("schema-*.db"))


@pytest.mark.parametrize("old", OLD, ids=lambda file: file.stem)
def test_an_upgraded_database_reports_what_this_version_does(old: Path, tmp_path: Path, harness: Harness) -> None:
    file = Path(shutil.copy(old, tmp_path / "board.db"))
    assert harness(f"db upgrade --db {file}").startswith("upgraded from schema ")
    store = Store.read(str(file))
    assert store.reported() == list(reported_figures())
    store.close()
    rows = json.loads(harness(f"leaderboard --db {file} --dataset svhn --format json"))["rows"]
    assert {row["metrics"]["pgd"]["n"] for row in rows} == {5}
    before = file.read_bytes()
    assert "already" in harness(f"db upgrade --db {file}")
    assert file.read_bytes() == before


def test_the_older_name_of_the_upgrade_works_and_is_not_shown(tmp_path: Path, harness: Harness) -> None:
    file = Path(shutil.copy(OLD[0], tmp_path / "board.db"))
    assert harness(f"upgrade --db {file}").startswith("upgraded from schema ")
    assert "upgrade" not in harness("--help").replace("harness db", "")


def test_a_check_says_what_is_there_or_what_is_wrong(tmp_path: Path, harness: Harness, ends: Ends) -> None:
    file = Path(shutil.copy(FIRST_BOARD, tmp_path / "board.db"))
    assert harness(f"db check --db {file}") == "sound: 42 runs, 763 evaluations, 278,600 verdicts\n"
    assert json.loads(harness(f"db check --db {file} --json")) == {
        "database": str(file),
        "sound": True,
        "runs": 42,
        "models": 0,
        "evaluations": 763,
        "verdicts": 278600,
        "problems": [],
        "more": 0,
    }
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        (number,) = connection.execute("SELECT min(evaluation_id) FROM blocks").fetchone()
        damage = "UPDATE blocks SET verdicts = x'ff', correct = 0 WHERE evaluation_id = ? AND start = 0"
        assert connection.execute(damage, [number]).rowcount == 1
    code, out, _ = ends(f"db check --db {file}")
    assert code == 1
    (line,) = out.splitlines()
    assert line.startswith(
        f"run 1, last, autoattack, seed 0 (evaluation {number}), block from image 0: its verdicts are 1 bytes"
    )
    assert line.endswith("; `harness rm 1` removes the run; then repeat it")
    code, out, _ = ends(f"db check --db {file} --json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["remedy"]) == (1, "`harness rm 1` removes the run; then repeat it")


def test_what_cannot_be_checked_or_copied_is_one_line(tmp_path: Path, refusal: Refused) -> None:
    (tmp_path / "text.db").write_text("a text, which is long enough" * 100)
    shutil.copy(OLD[0], tmp_path / "old.db")
    assert "is not a database" in refusal("db check --db text.db")
    assert "there is no database none.db" in refusal("db check --db none.db")
    assert "`harness db upgrade`" in refusal("db check --db old.db")
    assert "is refused: it is there already" in refusal("db copy text.db --db old.db")
    assert "Missing command" in refusal("db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.db", "text.db"]


def test_a_copy_is_checked_and_an_older_one_says_how_to_upgrade_it(
    tmp_path: Path, harness: Harness, ends: Ends
) -> None:
    shutil.copy(FIRST_BOARD, tmp_path / "board.db")
    said = harness("db copy copy.db --db board.db")
    assert said == "copied to copy.db\nsound: 42 runs, 763 evaluations, 278,600 verdicts\n"
    shutil.copy(OLD[2], tmp_path / "old.db")
    said = harness("db copy new.db --db old.db")
    assert said == "copied to new.db\nit has the older schema 0003: `harness db upgrade --db new.db` upgrades it\n"
    assert harness("db upgrade --db new.db").startswith("upgraded from schema 0003")
    with contextlib.closing(sqlite3.connect("board.db")) as connection, connection:
        connection.execute("UPDATE runs SET folder = '/tmp' WHERE id = 2")
    code, out, _ = ends("db copy second.db --db board.db")
    assert code == 1
    assert out.splitlines()[1].startswith("run 2: its folder '/tmp' is not one folder below --runs-dir; `harness rm 2`")
