"""``docs/database.md``: what it shows runs, and a block that is repeated outside has the same bits."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from harness.store.schema import METADATA
from harness.store.store import Store
from tests.command import exit_code

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's commands were run, with the files that it shows."""
    folder = tmp_path_factory.mktemp("page")
    with contextlib.chdir(folder):
        for language, text in BLOCKS:
            if language == "console":
                for line in text.splitlines():
                    assert exit_code(line.removeprefix("$ ")) == 0, line
            elif language == "python":
                name, _, code = text.removeprefix("# file: ").partition("\n")
                Path(name).write_text(code)
    return folder


def output(folder: Path, *command: str) -> str:
    ended = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def select(file: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.slow
def test_every_verdict_of_a_repeated_evaluation_is_the_same(folder: Path) -> None:
    numbers = [n for (n,) in select(folder / "leaderboard.db", "SELECT id FROM evaluations WHERE attack = 'pgd'")]
    assert len(numbers) == 2
    for number in numbers:
        said = output(folder, "repeat_blocks.py", "leaderboard.db", "runs", str(number))
        assert said == "images from 0: 360 of 360 verdicts are the same\n"


@pytest.mark.slow
def test_another_seed_gives_other_verdicts_or_nothing_was_shown(folder: Path) -> None:
    code = (folder / "repeat_blocks.py").read_text().replace('"evaluation", evaluation', '"other", evaluation')
    (folder / "other.py").write_text(code)
    (number,) = select(folder / "leaderboard.db", "SELECT MIN(id) FROM evaluations WHERE attack = 'pgd'")[0]
    assert "360 of 360" not in output(folder, "other.py", "leaderboard.db", "runs", str(number))


@pytest.mark.slow
def test_pandas_prints_the_figures_of_the_store(folder: Path) -> None:
    said = output(folder, "with_pandas.py")
    for (median,) in select(folder / "leaderboard.db", "SELECT median_percent FROM leaderboard_by_network"):
        assert f"{median:.6f}".rstrip("0") in said
    store = Store.read(str(folder / "leaderboard.db"))
    (last,) = (e for run in store.runs() for e in [run.checkpoint("last")])
    assert last is not None
    seeds = [store.verdicts(e.id) for e in last.evaluations if e.attack == "pgd"]
    store.close()
    unbroken = sum(all(verdicts) for verdicts in zip(*seeds, strict=True)) / 3.6  # of 360 images, in percent
    assert len(seeds) == 2
    assert f"{unbroken:.6f}".rstrip("0") in said.rpartition("correct")[0].splitlines()[-2]


def test_the_query_finds_what_is_published() -> None:
    (query,) = [text for language, text in BLOCKS if language == "sql"]
    rows = select(ROOT / "leaderboard.db", query)
    assert len(rows) == 125  # 25 methods, 5 training seeds
    assert rows[0][-1] == max(row[-1] for row in rows)  # type: ignore[type-var]


def test_every_table_and_view_is_on_the_page() -> None:
    names = {name for (name,) in select(ROOT / "leaderboard.db", "SELECT name FROM sqlite_master WHERE type = 'view'")}
    for name in {*names, *METADATA.tables}:
        assert f"`{name}`" in PAGE, name
