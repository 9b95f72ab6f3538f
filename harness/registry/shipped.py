"""The plugins that ship with this project, and how a plugin's code enters identities.

``shipped.json`` lists every plugin that ships, with a version and the digest of its source. The version is raised when
the plugin computes something else (a test compares with golden values). Version 1 is left out of every hash, so that
results from before there were versions keep their identity. A plugin that is not listed, or whose file was edited, is
identified by the digest of its source instead.
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
    """Kind -> name -> version and digest; ``engine`` holds the versions of the training and of the evaluation."""
    document: dict[str, dict[str, Any]] = json.loads((resources.files("harness") / "shipped.json").read_bytes())
    return document


def source_of_plugin(cls: type[Plugin]) -> Source:
    """The source of a plugin. It is read once for each class: importing an edited file makes a new class.

    Raises:
        PluginError: the source cannot be read; then results of edited code would look like results of this code.
    """
    return _source(cls)  # type: ignore[arg-type]  # mypy takes a dataclass's __hash__ for its class's


@functools.cache
def _source(cls: type[Plugin]) -> Source:
    source = source_of(cls)
    if not source.files:
        rule = "a plugin must be a Python file that is installed"
        raise PluginError(f"the source of {cls.name!r} cannot be read; {rule}")
    return source


def code_of(cls: type[Plugin]) -> str:
    """How a plugin's code enters identities.

    Returns:
        Empty for a plugin that ships, at version 1; ``version N`` for a plugin that ships, at a later version; for any
        other plugin the SHA-256 of its source.
    """
    return version_text(_listed(cls)["version"]) if ships(cls) else source_of_plugin(cls).digest


def ships(cls: type[Plugin]) -> bool:
    """Whether a plugin ships with this project and was not edited."""
    return _listed(cls).get("source") == source_of_plugin(cls).digest


def engine_code(part: str) -> str:
    """How the engine's ``training`` or ``evaluation`` enters identities: ``version N``; empty for version 1."""
    return version_text(manifest()["engine"][part])


def version_text(version: int) -> str:
    """``version N``; empty for 1."""
    return "" if version == 1 else f"version {version}"


def _listed(cls: type[Plugin]) -> dict[str, Any]:
    """What the list of shipped plugins says of a plugin; empty if it is not listed."""
    return manifest()[f"{noun_of(cls)}s"].get(cls.name) or {}
