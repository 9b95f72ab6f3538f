"""The entry points of the machine, without those of other packages."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint, EntryPoints

import pytest


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points of the machine: none but those that a test adds; and no folder of plugins."""
    added: list[EntryPoint] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: EntryPoints(added).select(group=group))
    monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
    return added
