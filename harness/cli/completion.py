"""What a shell completes: names of plugins, protocols, kinds, and tables. Nothing here imports torch.

Every command line imports this module, so that it imports what it asks when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

Complete = Callable[..., list[str]]  # of the beginning that was typed; of what stands before it, if it asks for that


def plugin_names(kind: str) -> Complete:
    """Names of a kind: those that come with harness, are installed, or are in files that the line names already."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        return _beginning(incomplete, _names(kind, context))

    return complete


methods, attacks, networks = plugin_names("methods"), plugin_names("attacks"), plugin_names("networks")
datasets, wrappers = plugin_names("datasets"), plugin_names("wrappers")


def attack_list(context: typer.Context, incomplete: str) -> list[str]:
    """Attacks with commas between them: the last one is completed, and none is offered twice."""
    done, comma, last = incomplete.rpartition(",")
    new = [name for name in _names("attacks", context) if name not in done.split(",")]
    return [f"{done}{comma}{name}" for name in _beginning(last, new)]


def named_kind(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the kind that the command line names before, such as ``method``."""
    from harness.registry.catalogue import KINDS

    kind = f"{context.params.get('kind')}s"
    return _beginning(incomplete, _names(kind, context) if kind in KINDS else ())


def protocols(incomplete: str) -> list[str]:
    """The protocols that come with harness."""
    from harness.protocols.protocol import protocol_names

    return _beginning(incomplete, protocol_names())


def words(*known: str) -> Complete:
    """A fixed choice."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, known)

    return complete


checkpoints = words("early", "last")


def kinds(incomplete: str) -> list[str]:
    """The kinds of plugins, one a plugin: ``method``."""
    from harness.registry.catalogue import KINDS

    return _beginning(incomplete, (kind.noun for kind in KINDS.values()))


def listed_kinds(incomplete: str) -> list[str]:
    """What can be listed: ``methods``, and ``protocols`` too."""
    from harness.registry.catalogue import KINDS

    return _beginning(incomplete, (*KINDS, "protocols"))


def _names(kind: str, context: typer.Context) -> list[str]:
    from harness.registry.names import names

    return names(kind, tuple(map(Path, context.params.get("plugins") or ())))


def _beginning(incomplete: str, known: Iterable[str]) -> list[str]:
    return [name for name in known if name.startswith(incomplete)]
