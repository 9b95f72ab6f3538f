"""A database from elsewhere names plugins, files, and modules: none is imported or opened because of that."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Ends
from tests.hub_store import OneRun, flagged

EVIL = """
from pathlib import Path

Path("ran").touch()


def make():
    Path("ran").touch()
"""
NAMES = ["evil", *(pytest.param(name, marks=pytest.mark.slow) for name in ("./evil.py:make", "folder:evil", "../evil"))]
COMMANDS = [
    *("leaderboard", "runs", "show 1", "show evil.py:make", "show 1 --json", "compare 1 evil.py:make"),
    *("export robustbench 1", "export robustbench 1 --loader", "export verdicts --out v.csv", "export hub 1 --out hub"),
    *("evaluate 1 --attacks pgd", "evaluate 1:last --attacks pgd --dry-run", "site --out page", "figures --out drawn"),
    *("figures all --out drawn --images 4", "figures vulnerability --out drawn --images 4", "rm 1 --yes"),
]


@pytest.fixture
def foreign(elsewhere: Path) -> Path:
    """A store with a run and a model, and a user's file, which tells when it is run."""
    made = OneRun(elsewhere)
    made.measure()
    made.examine(flagged())
    made.end()
    made.store.see_model(
        "evil.py:make",
        made.run.dataset,
        sha256="d" * 64,
        network="evil.py:make",
        network_settings={},
        network_departures={},
        parameters=1,
        provenance={"sources": {"network": {str(elsewhere / "evil.py"): "0"}}},
        code={str(elsewhere / "evil.py"): "0" * 64},
    )
    made.store.close()
    (elsewhere / "evil.py").write_text(EVIL)
    return elsewhere


def name_it(file: Path, name: str) -> None:
    """Put a name into every place of a store that may name a plugin."""
    parts = f'{{"network": "{name}", "method": "{name}"}}'
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        wrappers = f'[{{"name": "{name}", "settings": {{}}, "departures": {{}}}}]'
        connection.execute(
            "UPDATE runs SET method = ?, network = ?, code = ?, wrappers = ?", (name, name, parts, wrappers)
        )
        connection.execute("UPDATE runs SET provenance = json_object('sources', json(?))", (parts,))
        connection.execute("UPDATE datasets SET name = ?", (name,))
        connection.execute("UPDATE evaluations SET attack = ? WHERE attack <> 'natural'", (name,))


@pytest.mark.parametrize("name", NAMES)
def test_no_command_runs_what_a_row_names(name: str, foreign: Path, fails: Ends) -> None:
    name_it(foreign / "leaderboard.db", name)
    for command in COMMANDS:
        code, _, err = fails(command)
        assert code in (0, 1, 2), command
        assert not (foreign / "ran").exists(), (command, err)


def test_the_users_own_command_line_does(foreign: Path, fails: Ends) -> None:
    name_it(foreign / "leaderboard.db", "evil")
    fails("evaluate 1 --attacks pgd --dataset digits --plugin evil.py")
    assert (foreign / "ran").exists()
