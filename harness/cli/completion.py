"""What a shell completes: names of plugins, protocols, kinds, and tables. Nothing here imports torch.

Every command line imports this module, so that it imports what it asks when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

Complete = Callable[[typer.Context, str], list[str]]


def plugin_names(kind: str) -> Complete:
    """Names of a kind: those that come with harness, are installed, or are in files that the line names already."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        return _beginning(incomplete, _names(kind, context))

    return complete


def plugin_lists(kind: str) -> Complete:
    """Likewise, for names with commas between them: the last one is completed, and none is offered twice."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        done, comma, last = incomplete.rpartition(",")
        new = [name for name in _names(kind, context) if name not in done.split(",")]
        return [f"{done}{comma}{name}" for name in _beginning(last, new)]

    return complete


def named_kind(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the kind that the command line names before, such as ``method``."""
    from harness.registry.catalogue import KINDS

    kind = f"{context.params.get('kind')}s"
    return _beginning(incomplete, _names(kind, context) if kind in KINDS else ())


def protocols(incomplete: str) -> list[str]:
    """The protocols that come with harness."""
    from harness.protocols.protocol import protocol_names

    return _beginning(incomplete, protocol_names())


def words(*known: str) -> Callable[[str], list[str]]:
    """A fixed choice."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, known)

    return complete


def _names(kind: str, context: typer.Context) -> list[str]:
    from harness.registry.names import names

    return names(kind, tuple(map(Path, context.params.get("plugins") or ())))


def _beginning(incomplete: str, known: Iterable[str]) -> list[str]:
    return [name for name in known if name.startswith(incomplete)]
