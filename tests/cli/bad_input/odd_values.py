"""Every option of every command, a good command line to add it to, and values that nobody should give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import typer

from harness.cli.main import app
from tests.cli.bad_input.given import RUN

DIGITS = "9" * 5000  # Python refuses to convert so many
VALUES = {
    "an empty text": "",
    "a space": " ",
    "a byte that is no text": "\udcff",
    "a new line": "a\nb",
    "a colour": "\x1b[31mred",
    "a text from right to left": "\u202eabc",
    "no number": "nan",
    "without an end": "inf",
    "minus without an end": "-inf",
    "minus zero": "-0.0",
    "above all floats": "1e400",
    "a billion": "1000000000",
    "a billion as a float": "1e9",
    "beyond 64 bits": str(10**20),
    "thousands of digits": DIGITS,
    "a digit that is none": "²",
    "a negative number": "-1",
    "a long name": "a" * 5000,
    "a deep path": "x/" * 3000,
    "the home of nobody": "~no-such-user/x",
    "images in the home of nobody": "folder:~no-such-user/x",
    "images in a long name": "folder:" + "a" * 5000,
    "a setting": "a=b=c",
    "a setting of thousands of digits": f"width={DIGITS}",
    "a setting of a billion": "train.steps=1000000000",
    "a fraction of thousands of digits": f"epsilon=1/{DIGITS}",
    "brackets": "[" * 3000,
    "a format": "%s{0}",
    "commas": ",,",
    "a pipe": "pipe",
    "links in a circle": "circle",
    "a link to nothing": "gone",
    "this folder": ".",
}

BASE = {  # what a command needs to come as far as its options
    "run": f"{RUN.removeprefix('run ')} --dry-run",
    "evaluate": "model.py:build --dataset digits --attacks pgd --limit 20 --seeds 1 --dry-run",
    "reproduce": "table1 --dataset digits --seeds 1 --dry-run",
    "compare": "1 2",
    "list": "methods",
    "show": "1",
    "note": "1 text",
    "tag": "1",
    "rm": "1",
    "new": "method half-way",
    "check": "method sat",
    "upload": "1 --to me/x --dry-run",
    "db copy": "copy.db",
    "db merge": "other.db --dry-run",
    "bench": "--arch smallcnn",
    "figures": "methods",
    "export code": "1",
    "export hub": "1",
    "export robustbench": "1",
}


class Place(NamedTuple):
    """Where a value goes: a command, and one of its options; None for its first argument."""

    command: str
    option: str | None

    def words(self, value: str) -> list[str]:
        """The command line with the value."""
        base = BASE.get(self.command, "").split()
        given = [value, *base[1:]] if self.option is None else [*base, f"{self.option}={value}"]
        return [*self.command.split(), *given]


def places() -> Iterator[Place]:
    """Each option that takes a value, once, of whichever command has it first; and each command's argument."""
    seen = set()
    for name, command in _commands():
        for parameter in command.params:
            option = next((flag for flag in parameter.opts if flag.startswith("--")), None)
            told = (option, getattr(parameter, "help", None)) if option is not None else name
            if not getattr(parameter, "is_flag", False) and told not in seen:
                seen.add(told)
                yield Place(name, option)


def _commands() -> Iterator[tuple[str, Any]]:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        yield from [(name, command)] if inner is None else ((f"{name} {own}", c) for own, c in inner.items())
