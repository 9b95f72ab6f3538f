"""The settings in which rows of one method differ: a board has a column for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.identity import canonical_json
from harness.leaderboard.contestants import Trained

AT_DEFAULT = "default"
"""The value of a setting that a run does not record: it was added later, and the run did what was done before."""

Varied = Mapping[str, frozenset[str]]
"""A setting, ``alpha_pgd`` of a method or ``awp.gamma`` of a wrapper -> the methods whose rows have it."""


def varied_settings(rows: Iterable[Trained]) -> Varied:
    """The settings that have two values among rows of one method.

    A wrapper's settings are compared among the rows of one method that have the wrapper. Those of networks stand in
    the column of the network.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        for owner, settings in row.every_setting.items():
            groups.setdefault((row.method, owner), []).append(settings)
    having: dict[str, set[str]] = {}
    differing: dict[str, None] = {}
    for (method, owner), several in groups.items():
        for leaf in dict.fromkeys(leaf for settings in several for leaf in settings):
            name = f"{owner}.{leaf}" if owner else leaf
            having.setdefault(name, set()).add(method)
            if len({canonical_json(settings.get(leaf, AT_DEFAULT)) for settings in several}) > 1:
                differing[name] = None
    return {name: frozenset(having[name]) for name in differing}


def values_of(row: Trained, varied: Varied) -> dict[str, Any]:
    """The row's values of these settings, in JSON types; without those that it does not have."""
    found = {}
    for name, methods in varied.items():
        owner, _, leaf = name.rpartition(".")
        if row.method in methods and owner in row.every_setting:
            found[name] = row.every_setting[owner].get(leaf, AT_DEFAULT)
    return found
