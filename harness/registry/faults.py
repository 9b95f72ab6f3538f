"""Whose fault an exception is: a plugin of the user's is named with its file and line, and `harness check`."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from harness.errors import HarnessError, PluginFault
from harness.plugin.network import Network
from harness.plugin.settings import Plugin
from harness.registry.catalogue import noun_of
from harness.registry.shipped import ships, source_of_plugin
from harness.runtime.process import process_kept

_TORCH = Path(torch.__file__).parent
_MODULES = _TORCH / "nn" / "modules"
_LOG = logging.getLogger("harness.plugins")
_LOG.addHandler(logging.NullHandler())  # where no run has its log open, nothing is printed instead


def fault(plugin: Plugin, problem: str, file: Path | None = None, line: int | None = None) -> PluginFault:
    """The error that a plugin broke its contract: what is wrong, in which file, and what says more."""
    noun, name = noun_of(type(plugin)), plugin.name
    place = file or next(iter(source_of_plugin(type(plugin)).files))
    where = f"{place}, line {line}" if line is not None else str(place)
    more = "" if ships(type(plugin)) else f" --plugin {place}"
    return PluginFault(f"{noun} {name!r} ({where}): {problem}; `harness check {noun} {name}{more}` says more")


def suspect(plugins: Sequence[Plugin]) -> Plugin:
    """The first that does not ship; the first of all where all ship."""
    return next((plugin for plugin in plugins if not ships(type(plugin))), plugins[0])


@contextlib.contextmanager
def modes_held(plugin: Plugin, doing: str) -> Iterator[None]:
    """Torch's modes are put back, whatever is run inside.

    Args:
        plugin, doing: whose code it is, and what of it, for the message.
    Raises:
        PluginFault: they were left changed.
    """
    with process_kept() as changed:
        yield
    if changed:
        left = ", ".join(f"{name} at {value}" for name, value in changed.items())
        rule = "how torch computes is the engine's, and the same for every method"
        raise fault(plugin, f"{doing} left {left}; {rule}: put back what you set")


@contextlib.contextmanager
def blaming(plugins: Sequence[Plugin]) -> Iterator[None]:
    """Make an exception from a plugin that does not ship a PluginFault; its traceback goes to the log.

    An exception that comes from none of them is a bug of this program, and is passed on as it is. Where no log is open
    the traceback is in the fault's ``__cause__`` alone.
    """
    try:
        yield
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:  # a plugin must not end the program either
        found = _culprit(error, [plugin for plugin in plugins if not ships(type(plugin))])
        if found is None:
            raise
        _LOG.exception("raised by %s", found[0].name)
        text = " ".join(str(error).split())
        raise fault(found[0], f"it raised {type(error).__name__}: {text}", *found[1:]) from error


def place_of(error: BaseException, plugin: Plugin) -> str:
    """Where in a plugin's own files an exception passed last: `` (FILE, line N)``; empty where it passed none."""
    found = _culprit(error, [plugin])
    return f" ({found[1]}, line {found[2]})" if found and found[1] else ""


def _culprit(error: BaseException, plugins: Sequence[Plugin]) -> tuple[Plugin, Path | None, int | None] | None:
    """The plugin whose code was running, the innermost one, and the place; a network where only torch's layers ran."""
    frames = [(Path(frame.filename), frame.lineno) for frame in reversed(traceback.extract_tb(error.__traceback__))]
    for file, line in frames:
        for plugin in plugins:
            if file.resolve() in source_of_plugin(type(plugin)).files:
                return plugin, file, line
    in_layers = any(_MODULES in file.parents for file, _ in frames)
    networks = [plugin for plugin in plugins if isinstance(plugin, Network)] if in_layers else []
    return (networks[0], None, None) if networks else None
