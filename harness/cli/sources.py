"""Says where the options of a command came from: in a note of its own, and in what a refusal ends with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from harness.cli.config_file import Given
from harness.cli.console import print_line
from harness.errors import HarnessError

GIVEN = "harness.given"
"""Where a context of click keeps where its values came from."""

_current: ContextVar[Given] = ContextVar("current")
_untold: ContextVar[Given | None] = ContextVar("untold", default=None)


def given() -> Given:
    """Where the values of the command at work came from."""
    return _current.get()


def ancestry(context: Any) -> list[Any]:
    """A context of click with those above it, the program's first."""
    return [*(ancestry(context.parent) if context.parent is not None else []), context]


@contextlib.contextmanager
def told(source: Given, *, quiet: bool) -> Iterator[None]:
    """While a command works: its sources are told before its first note, or at its end; a refusal names them."""
    tokens = _current.set(source), _untold.set(source)
    try:
        yield
    except HarnessError as error:
        error.args = (f"{error}{source.refusal}", *error.args[1:])
        _untold.set(None)
        raise
    finally:
        tell_sources(quiet=quiet)
        _current.reset(tokens[0])
        _untold.reset(tokens[1])


def tell_sources(*, quiet: bool = False) -> None:
    """Print once which values came from the project's configuration, unless quiet."""
    source = _untold.get()
    _untold.set(None)
    for line in source.lines if source is not None and not quiet else []:
        print_line(line, error=True)  # a file may hold characters that change a terminal
