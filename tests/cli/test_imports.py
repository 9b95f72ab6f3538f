"""What the fast commands import, in fresh processes; and that every option says what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli.main import app
from harness.store.store import Store
from tests.cli.imported import HEAVY, modules


@pytest.mark.parametrize(
    ("arguments", "also"),
    [
        (["--help"], ("sqlalchemy",)),
        ([], ("sqlalchemy",)),
        (["run", "--help"], ("sqlalchemy",)),
        (["leaderboard", "--help"], ("sqlalchemy",)),
        (["leaderboard"], ()),
        (["leaderboard", "--format", "json"], ("rich.table",)),
        (["leaderboard", "--format", "csv"], ("rich.table",)),
        (["leaderboard", "--format", "markdown"], ("rich.table",)),
        (["runs", "--json"], ("rich.table",)),
    ],
    ids=" ".join,
)
def test_a_fast_command_imports_nothing_heavy(tmp_path: Path, arguments: list[str], also: tuple[str, ...]) -> None:
    Store.write(str(tmp_path / "leaderboard.db")).close()
    imported = modules(tmp_path, *arguments)
    assert "harness.cli.main" in imported
    assert imported & {*HEAVY, *also} == set()


def test_without_a_database_a_leaderboard_imports_nothing_heavy_either(tmp_path: Path) -> None:
    assert modules(tmp_path, "leaderboard") & set(HEAVY) == set()


def parameters() -> list[tuple[str, Any]]:
    """Every option and argument of every command."""
    group: Any = typer.main.get_command(app)
    commands = {"harness": group, **group.commands}
    return [(f"{name} {'/'.join(p.opts)}", p) for name, command in commands.items() for p in command.params]


class TestHelp:
    def test_every_command_is_here(self) -> None:
        names = {name.split()[0] for name, _ in parameters()}
        assert names >= {"harness", "run", "leaderboard", "list", "runs", "show"}
        promised = {"arch", "dataset", "seeds", "train-seeds", "protocol", "epochs", "set", "device", "precision"}
        promised |= {"db", "runs-dir", "data-dir", "limit", "fresh", "dry-run", "json"}
        assert promised <= {name.removeprefix("run --") for name, _ in parameters()}

    @pytest.mark.parametrize(("name", "parameter"), parameters(), ids=[name for name, _ in parameters()])
    def test_every_option_says_what_it_is_for(self, name: str, parameter: Any) -> None:
        assert len(parameter.help or "") >= 8, name

    def test_every_command_says_what_it_does(self) -> None:
        group: Any = typer.main.get_command(app)
        for command in group.commands.values():
            assert command.help.endswith(".")
            assert command.get_short_help_str(200)
