"""Every command of the docs runs, and every file that they show passes its checks: in order, in a folder of its own."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli import main as entry
from tests.command import exit_code

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = (
    *("plugins", "methods", "results", "evaluation", "statistics"),
    *("site", "figures", "hub", "trackers", "configuration", "images"),
)
PAGES = [ROOT / "docs" / f"{name}.md" for name in NAMES]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_works(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if page.stem in ("results", "figures", "statistics"):  # they speak of the published database beside them
        shutil.copy(ROOT / "leaderboard.db", tmp_path)
    commands = 0
    for language, text in BLOCK.findall(page.read_text()):
        if language in ("python", "toml") and text.startswith("# file: "):
            name, _, code = text.removeprefix("# file: ").partition("\n")
            (tmp_path / name).write_text(code)
        elif language == "console":
            for line in text.splitlines():
                assert line.startswith("$ harness "), line
                code = exit_code(line.removeprefix("$ "), comments=True)
                out, err = capsys.readouterr()
                assert code == 0, f"{line}\n{out}\n{err}"
                commands += 1
    assert commands


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_the_command_line_takes_what_is_only_shown(page: Path) -> None:
    """Lines that are too long to run, such as a training on CIFAR-10: their options are there."""
    group: Any = typer.main.get_command(entry.app)
    for line in re.findall(r"^    harness (.+)$", page.read_text(), re.MULTILINE):
        name, *words = shlex.split(line, comments=True)
        command = group.commands[name]
        if hasattr(command, "commands"):
            name, *words = words
            command = command.commands[name]
        command.make_context(name, words)  # raises where an option is unknown


def test_every_command_is_in_the_docs() -> None:
    texts = "\n".join(path.read_text() for path in (ROOT / "README.md", *PAGES))
    for command in entry.app.registered_commands:
        assert command.name is not None
        if command.hidden:  # the older name of another command
            continue
        assert f"harness {command.name}" in texts, command.name


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")], ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", BLOCK.sub("", path.read_text())):
        if "://" not in target:
            assert (path.parent / target).exists(), target
