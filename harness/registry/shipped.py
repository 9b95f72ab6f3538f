"""What ships with this project, and what identity takes of the code of a plugin.

``shipped.json`` names every plugin that ships, with a version and the digest of its source. The version is raised when
what a plugin computes changes (a test holds it to golden values), and at 1 it is left out of every hash: results that
were stored before versions were counted keep their names. A plugin that is not in the list, or whose file was edited
since, is named by the digest of its source instead.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from harness.errors import PluginError
from harness.plugin.settings import Plugin
from harness.registry.catalogue import noun_of
from harness.registry.source import Source, source_of


@functools.cache
def manifest() -> dict[str, dict[str, Any]]:
    """Kind -> name -> version and source; under ``engine`` the versions of the training and of the evaluation."""
    text = (resources.files("harness") / "shipped.json").read_text(encoding="utf-8")
    document: dict[str, dict[str, Any]] = json.loads(text)
    return document


def source_of_plugin(cls: type[Plugin]) -> Source:
    """The source of a plugin, read once: an edited file is imported anew, and its class is another one.

    Raises:
        PluginError: it has none that could be read, so that its results could not be told from those of an edited one.
    """
    return _source(cls)  # type: ignore[arg-type]  # mypy takes a dataclass's __hash__ for its class's


@functools.cache
def _source(cls: type[Plugin]) -> Source:
    source = source_of(cls)
    if not source.files:
        raise PluginError(
            f"the source of {cls.name!r} cannot be read; a plugin must be a Python file that is installed"
        )
    return source


def code_of(cls: type[Plugin]) -> str:
    """What identity takes of a plugin's code; empty for one that ships, at its first version.

    Returns:
        ``version N`` for one that ships and has changed since it first did; for any other the SHA-256 of its source.
    """
    return version_text(manifest()[_kind(cls)][cls.name]["version"]) if ships(cls) else source_of_plugin(cls).digest


def ships(cls: type[Plugin]) -> bool:
    """Whether a plugin is one of this project's, as it was published."""
    shipped = manifest()[_kind(cls)].get(cls.name)
    return shipped is not None and shipped["source"] == source_of_plugin(cls).digest


def engine_code(part: str) -> str:
    """What identity takes of this engine's ``training`` or ``evaluation``; empty at the first version."""
    return version_text(manifest()["engine"][part])


def version_text(version: int) -> str:
    """``version N``; empty for the first."""
    return "" if version == 1 else f"version {version}"


def _kind(cls: type[Plugin]) -> str:
    return f"{noun_of(cls)}s"
