"""What a shell completes: names of plugins, protocols, kinds, and tables. Nothing here imports torch.

Every command imports this module. So it imports the catalogue and the protocols only when a shell asks.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

from harness.errors import visible

_SHELL = re.compile(r"""[$`;&|<>()'"\\!*?{}#~]|^-""")
Complete = Callable[[typer.Context, str], list[str]]


def _choice(known: Callable[[typer.Context], Iterable[str]]) -> Complete:
    """Offer the known words that begin with what was typed.

    A shell puts a word into the command line as it is: a name with characters that it would act on is not offered.
    """

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        fitting = (word for word in known(context) if word.startswith(incomplete))
        return [word for word in fitting if visible(word) == word and not _SHELL.search(word)]

    return complete


def words(*known: str) -> Complete:
    """Offer some of a fixed set of words."""
    return _choice(lambda _: known)


def attack_list(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the last attack of a comma-separated list; attacks already in the list are not offered."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in attacks(context, last) if name not in done.split(",")]


def column_list(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the last column of a comma-separated list: an attack, or the worst case."""
    done, comma, last = incomplete.rpartition(",")
    known = [*attacks(context, last), *words("worst_case")(context, last)]
    return [f"{done}{comma}{name}" for name in known if name not in done.split(",")]


def _names(kind: str, context: typer.Context) -> Iterable[str]:
    """Names of a kind: from harness, from installed packages, and from plugin files already named on the line."""
    from harness.registry.names import names

    return names(kind, tuple(map(Path, context.params.get("plugins") or ()))) if kind in _kinds() else ()


def _kinds() -> Mapping[str, Any]:
    from harness.registry.catalogue import KINDS

    return KINDS


def _protocols() -> Iterable[str]:
    from harness.protocols.protocol import protocol_names

    return protocol_names()


def _figures() -> Iterable[str]:
    from harness.figures.catalogue import PLOTS

    return (*PLOTS, "all")


def _stored(context: typer.Context, read: Callable[[Any], Iterable[str]]) -> Iterable[str]:
    """What the database has; nothing where it cannot be read."""
    from harness.errors import HarnessError
    from harness.store.store import Store

    try:
        with contextlib.closing(Store.read(context.params.get("db"))) as store:
            return list(read(store))
    except HarnessError:
        return ()


def _runs_and_models(store: Any) -> Iterable[str]:
    return (*map(str, store.run_numbers()), *dict.fromkeys(model.name for model in store.named_models()))


def _tags(store: Any) -> Iterable[str]:
    found: list[str] = store.tags()
    return found


def _everything(context: typer.Context) -> Iterable[str]:
    """All that `harness show` takes."""
    from harness.cli.meanings import known_words

    files = tuple(map(Path, context.params.get("plugins") or ()))
    return sorted(_stored(context, lambda store: set().union(*known_words(store, files).values())))


def _plugins(kind: str) -> Complete:
    return _choice(lambda context: _names(kind, context))


def methods_or_file(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a method, or an experiment's file in the working directory."""
    files = sorted(file.name for file in Path().glob("*.toml") if file.name.startswith(incomplete))
    return [*methods(context, incomplete), *(file for file in files if file not in NO_EXPERIMENTS)]


NO_EXPERIMENTS = ("harness.toml", "pyproject.toml")
methods, attacks, datasets = _plugins("methods"), _plugins("attacks"), _plugins("datasets")
networks, wrappers = _plugins("networks"), _plugins("wrappers")
of_kind = _choice(lambda context: _names(f"{context.params.get('kind')}s", context))  # KIND stands before NAME
kinds = _choice(lambda _: (kind.noun for kind in _kinds().values()))
listed_kinds = _choice(lambda _: (*_kinds(), "protocols"))
protocols = _choice(lambda _: _protocols())
figures = _choice(lambda _: _figures())
checkpoints = words("early", "best", "last")
runs = _choice(lambda context: _stored(context, _runs_and_models))
tags = _choice(lambda context: _stored(context, _tags))
shown = _choice(_everything)
