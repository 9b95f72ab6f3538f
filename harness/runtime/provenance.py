"""Provenance: what is recorded beside a result and is not part of its identity."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

ALSO = "also"
LOOKED_AT = "until_separated"
"""Of a run that was begun by looking: the limit, the methods, and the attack; see ``RunJob.looked_at``."""
HOST_VARIABLE = "HARNESS_HOST"
_PACKAGES = ("torch", "torchvision", "numpy", "pyautoattack")


def host() -> str:
    """The machine's name, or ``HARNESS_HOST`` if it is set, as for results that are published."""
    return os.environ.get(HOST_VARIABLE) or platform.node()


def provenance(device: str, threads: int) -> dict[str, Any]:
    """Device, versions, commit, and host, as the store keeps them."""
    return {"device": device, "threads": threads, "host": host(), **_software()}


def path_of(plain: bool) -> str:
    """The way in which a network was computed: with its own layers alone, or with faster ones."""
    return "plain" if plain else "fast"


def resume_of(device_type: str, *, deterministic: bool) -> str:
    """How a training that was stopped goes on: equal to an uninterrupted one to the last bit, or but for rounding."""
    return "exact" if device_type == "cpu" or deterministic else "same up to rounding"


@dataclass(frozen=True)
class LookedAt:
    """What a run tells of the looks for which it was begun: the limit of seeds, the methods, and the attack."""

    limit: int
    methods: frozenset[str]
    attack: str


def looked_at(provenance: Mapping[str, Any]) -> LookedAt | None:
    """Of a run that was begun by looking; None of any other, or where what is stored cannot be read."""
    match provenance.get(LOOKED_AT):
        case {"limit": int(limit), "methods": list(methods), "attack": str(attack)}:
            return LookedAt(limit, frozenset(map(str, methods)), attack)
    return None


def joined(known: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of a result of several parts: that of the first, and every other one once under ``also``.

    A training or an evaluation that was stopped may go on in another place, or with other versions.

    Args:
        known: of the parts before; what it says besides, such as a run's sources, stays.
        further: of one more part.
    """
    first = {key: known[key] for key in further if key in known}
    if not first:
        return {**known, **further}
    others: list[Any] = known.get(ALSO, [])
    return dict(known) if further in (first, *others) else {**known, ALSO: [*others, dict(further)]}


def every_place(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every place of a joined provenance, in the order in which they came; sources and looks are left out."""
    first = {key: value for key, value in known.items() if key not in ("sources", LOOKED_AT, ALSO)}
    return [first, *known.get(ALSO, [])]


@cache
def _software() -> Mapping[str, Any]:
    from harness import __version__

    return {
        "harness": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **package_versions(),
        **commit(),
    }


def package_versions() -> dict[str, str]:
    """The versions of the packages that a figure may depend on."""
    return {name: metadata.version(name) for name in _PACKAGES}


@cache
def commit() -> Mapping[str, Any]:
    """The commit of the checkout that harness runs from, and whether it has changes; empty for an installed copy."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}
    try:
        head, changes = (_git(root, *command) for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno")))
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": head, "dirty": bool(changes)}


def _git(root: Path, *command: str) -> str:
    return subprocess.run(["git", "-C", str(root), *command], check=True, capture_output=True, text=True).stdout.strip()
