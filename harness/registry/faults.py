"""Decide which plugin raised an exception; the error then names its file and line, and `harness check`."""

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

_MODULES = Path(torch.__file__).parent / "nn" / "modules"
_LOG = logging.getLogger("harness.plugins")
_LOG.addHandler(logging.NullHandler())  # without this, logging prints to stderr when no run's log is open


def fault(plugin: Plugin, problem: str, file: Path | None = None, line: int | None = None) -> PluginFault:
    """The error for a plugin that broke its contract: it names the plugin, its file, and `harness check`."""
    noun, name = noun_of(type(plugin)), plugin.name
    place = file or next(iter(source_of_plugin(type(plugin)).files))
    where = f"{place}, line {line}" if line is not None else str(place)
    more = "" if ships(type(plugin)) else f" --plugin {place}"
    return PluginFault(f"{noun} {name!r} ({where}): {problem}; `harness check {noun} {name}{more}` says more")


def suspect(plugins: Sequence[Plugin]) -> Plugin:
    """The plugin that most likely caused an error: the first that does not ship, else the first."""
    return next((plugin for plugin in plugins if not ships(type(plugin))), plugins[0])


@contextlib.contextmanager
def modes_held(plugin: Plugin, doing: str) -> Iterator[None]:
    """Restore torch's modes after the body has run.

    Args:
        plugin: the plugin whose code runs in the body.
        doing: what the body calls, for the message.
    Raises:
        PluginFault: the body left a mode changed.
    """
    with process_kept() as changed:
        yield
    if changed:
        left = ", ".join(f"{name} at {value}" for name, value in changed.items())
        rule = "how torch computes is the engine's, and the same for every method"
        raise fault(plugin, f"{doing} left {left}; {rule}: put back what you set")


@contextlib.contextmanager
def blaming(plugins: Sequence[Plugin]) -> Iterator[None]:
    """Turn an exception raised by a plugin that does not ship into a PluginFault, and log its traceback.

    Any other exception is a bug of this program and passes through. If no log is open, the traceback is in the fault's
    ``__cause__`` alone.
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
    """The innermost line of a plugin's own files in a traceback, as `` (FILE, line N)``; empty if there is none."""
    found = _culprit(error, [plugin])
    return f" ({found[1]}, line {found[2]})" if found and found[1] else ""


def _culprit(error: BaseException, plugins: Sequence[Plugin]) -> tuple[Plugin, Path | None, int | None] | None:
    """The plugin with the innermost frame of a traceback, and the file and line of that frame.

    A traceback that passes through no plugin's file but through torch's layers is blamed on the network.
    """
    frames = [(Path(frame.filename), frame.lineno) for frame in reversed(traceback.extract_tb(error.__traceback__))]
    for file, line in frames:
        for plugin in plugins:
            if file.resolve() in source_of_plugin(type(plugin)).files:
                return plugin, file, line
    in_layers = any(_MODULES in file.parents for file, _ in frames)
    networks = [plugin for plugin in plugins if isinstance(plugin, Network)] if in_layers else []
    return (networks[0], None, None) if networks else None
