"""What a shell completes: names of plugins, protocols, kinds, and tables. Nothing here imports torch.

Every command line imports this module, so that it imports what it asks when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

Complete = Callable[[typer.Context, str], list[str]]


def _choice(known: Callable[[typer.Context], Iterable[str]]) -> Complete:
    """Offer those of the known words that begin with what was typed."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        return [word for word in known(context) if word.startswith(incomplete)]

    return complete


def words(*known: str) -> Complete:
    """Offer some of a fixed set of words."""
    return _choice(lambda _: known)


def attack_list(context: typer.Context, incomplete: str) -> list[str]:
    """Offer attacks with commas between them: the last one is completed, and none is offered twice."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in attacks(context, last) if name not in done.split(",")]


def _names(kind: str, context: typer.Context) -> Iterable[str]:
    """Names of a kind: those that come with harness, are installed, or are in files that the line names already."""
    from harness.registry.names import names

    return names(kind, tuple(map(Path, context.params.get("plugins") or ()))) if kind in _kinds() else ()


def _kinds() -> Mapping[str, Any]:
    from harness.registry.catalogue import KINDS

    return KINDS


def _protocols() -> Iterable[str]:
    from harness.protocols.protocol import protocol_names

    return protocol_names()


def _plugins(kind: str) -> Complete:
    return _choice(lambda context: _names(kind, context))


methods, attacks, datasets = _plugins("methods"), _plugins("attacks"), _plugins("datasets")
networks, wrappers = _plugins("networks"), _plugins("wrappers")
of_kind = _choice(lambda context: _names(f"{context.params.get('kind')}s", context))  # the kind that is named before
kinds = _choice(lambda _: (kind.noun for kind in _kinds().values()))
listed_kinds = _choice(lambda _: (*_kinds(), "protocols"))
protocols = _choice(lambda _: _protocols())
checkpoints = words("early", "last")
