"""Entry points are looked for once, and again after a package was installed."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from harness.registry.installed import installed

GROUP = "harness.networks"


def test_entry_points_are_looked_for_again_when_a_package_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def entry_points(*, group: str) -> EntryPoints:
        asked.append(group)
        names = sorted(path.name for path in tmp_path.iterdir())
        return EntryPoints([EntryPoint(name, "module:Class", group) for name in names])

    def names() -> list[str]:
        return [entry.name for entry in installed(GROUP)]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), str(tmp_path / "not there")])
    (tmp_path / "first").mkdir()
    assert names() == names() == ["first"]
    assert asked == [GROUP]
    (tmp_path / "second").mkdir()
    os.utime(tmp_path, ns=(1, 1))  # as a clock of another second
    assert names() == names() == ["first", "second"]
    assert asked == [GROUP] * 2
    monkeypatch.setattr(sys, "path", sys.path[:-1])
    assert names() == ["first", "second"]
    assert asked == [GROUP] * 3


def test_what_is_found_is_what_python_finds() -> None:
    for group in (GROUP, "console_scripts", "harness.nothing"):
        assert list(installed(group)) == list(importlib.metadata.entry_points(group=group))
