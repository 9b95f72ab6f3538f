"""The help of every command: readable in a pipe and at 80 columns, in named groups, with examples that are taken."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer

from harness.cli.main import app
from harness.cli.options import FOLDERS, OUTPUT, PLACES, PROTOCOL, WHAT

GROUP: Any = typer.main.get_command(app)
GROUPS = ("db", "export", "protocol")
COMMANDS: dict[str, Any] = {
    **{name: command for name, command in GROUP.commands.items() if name not in GROUPS},
    **{f"{group} {name}": command for group in GROUPS for name, command in GROUP.commands[group].commands.items()},
}


def printed(command: str, **variables: str) -> str:
    """What a command prints into a pipe, in a fresh process; terminals of 80 columns unless a variable says else."""
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "COLUMNS")}
    arguments = [sys.executable, "-m", "harness", *shlex.split(command)]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True, env=kept | variables)
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize("command", ["", "run", "evaluate", "compare", "export robustbench", "export verdicts"])
def test_in_a_pipe_it_has_no_colours_and_fits_80_columns(command: str) -> None:
    text = printed(f"{command} --help")
    assert "\x1b" not in text
    assert "…" not in text  # nothing is cut
    assert max(map(len, text.splitlines())) <= 80


def test_without_colours_where_the_user_wants_none() -> None:
    assert "\x1b[3" not in printed("run --help", NO_COLOR="1", FORCE_COLOR="1")  # no foreground colour


def test_the_short_option_is_the_long_one() -> None:
    assert printed("evaluate -h") == printed("evaluate --help")
    assert printed("-h") == printed("--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_a_named_group(name: str) -> None:
    panels = {option: parameter.rich_help_panel for parameter in COMMANDS[name].params for option in parameter.opts}
    options = {option: panel for option, panel in panels.items() if option.startswith("--")}
    assert None not in options.values()
    expected = {"--db": PLACES, "--runs-dir": PLACES, "--json": OUTPUT, "--image-size": FOLDERS, "--set": PROTOCOL}
    assert {option: options[option] for option in expected if option in options}.items() <= expected.items()
    if name in ("run", "evaluate", "reproduce"):
        assert set(options.values()) - {"How the model is read"} == {WHAT, FOLDERS, PROTOCOL, PLACES, OUTPUT}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_it_takes(name: str) -> None:
    head, *examples = [line.strip() for line in COMMANDS[name].epilog.splitlines() if line.strip()]
    assert head in ("Example:", "Examples:")
    assert examples
    for example in examples:
        assert len(example) <= 76  # in one line of 80 columns
        program, *words = shlex.split(example)
        assert (program, words[: len(name.split())]) == ("harness", name.split())
        COMMANDS[name].make_context(name, words[len(name.split()) :])  # raises where an option is unknown


def test_the_first_steps_are_in_the_help_too() -> None:
    assert "harness run sat --dataset digits --arch smallcnn" in printed("--help")
