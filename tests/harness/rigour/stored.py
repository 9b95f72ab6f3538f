"""Verdicts by ranges of images, and what the checks find in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from harness.events import Finding
from harness.plugin.attack import Attack
from harness.registry.catalogue import discover
from harness.rigour.checks import examine_verdicts

SHIPPED = {name: cast(type[Attack], found.cls) for name, found in discover("attacks").found.items()}


def verdicts(n: int, *right: tuple[int, int]) -> bytes:
    """Right on the given ranges of images, wrong on all others."""
    chosen = {i for start, end in right for i in range(start, end)}
    return bytes(int(i in chosen) for i in range(n))


def examined(
    stored: Mapping[str, Sequence[bytes]],
    labels: Sequence[int] | None = None,
    warned: Mapping[str, Sequence[str]] | None = None,
    block: int | None = None,
    types: Mapping[str, type[Attack]] = SHIPPED,
) -> dict[str, Finding]:
    n = len(next(iter(stored.values()))[0])
    labels = [i % 10 for i in range(n)] if labels is None else labels
    return {f.check: f for f in examine_verdicts(stored, types, labels, warned or {}, block)}
