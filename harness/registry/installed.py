"""The entry points of installed packages: looked for once, since thousands of items of work ask for plugins by name."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Hashable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

_known: dict[str, tuple[Hashable, Sequence[EntryPoint]]] = {}  # group -> what it was found by, and what was found


def installed(group: str) -> Sequence[EntryPoint]:
    """The entry points of a group, in the order in which they are found.

    To look for them takes milliseconds, more than a small item of work. They are looked for again when a folder that
    Python imports from has changed, as it does when a package is installed.
    """
    find = importlib.metadata.entry_points
    place = find, tuple((folder, _changed_ns(folder)) for folder in sys.path)
    if group not in _known or _known[group][0] != place:
        _known[group] = place, tuple(find(group=group))
    return _known[group][1]


def _changed_ns(folder: str) -> int | None:
    """When names were last added to a folder, or removed; None: there is none."""
    try:
        return Path(folder or ".").stat().st_mtime_ns
    except OSError:
        return None
