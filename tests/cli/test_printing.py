"""Commands print through one module, so that what a database names cannot act on a terminal."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import harness.cli
from harness.cli import console
from harness.cli.completion import runs as complete_runs
from tests.hostile_labels import LABELS, hostile_store, unseen

OWN = {"console.py", "system_errors.py", "main.py"}  # the last prints help, and its version


def test_commands_print_through_the_console() -> None:
    files = [file for file in Path(harness.cli.__path__[0]).glob("*.py") if file.name not in OWN]
    calls = [
        (file.name, node.lineno)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_a_line_is_one_line(label: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.print_line(label)
    console.print_line(label, error=True)
    for text in capsys.readouterr():
        assert text.count("\n") == 1
        assert unseen(text) == set()


def test_a_shell_is_offered_no_name_that_it_would_act_on(tmp_path: Path) -> None:
    class Context:
        params = {"db": str(tmp_path / "foreign.db")}  # noqa: RUF012

    hostile_store(tmp_path / "foreign.db")
    offered = complete_runs(Context, "")  # type: ignore[arg-type]
    assert {"1", "LABEL", "[/x]", "javascript:alert"} & set(offered) == {"1", "LABEL", "[/x]"}
    assert [word for word in offered if set(word) & set("$`;&|<>()'\"\\!*?{}#~\n\x1b") or word.startswith("-")] == []
