"""What is said of a machine: versions, threads, and plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.doctor.machine import EXTRAS, examine_machine, sqlite_diagnosis, thread_diagnosis, version_of


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ((3, 27, 2), "wrong"),
        ((3, 28, 0), "ok"),
        ((3, 34, 1), "ok"),
        ((3, 35, 0), "note"),
        ((3, 35, 4), "note"),
        ((3, 35, 5), "ok"),
        ((3, 40, 1), "ok"),
    ],
)
def test_sqlite(version: tuple[int, ...], state: str) -> None:
    assert sqlite_diagnosis(version).state == state


@pytest.mark.parametrize(
    ("variable", "cores", "state"),
    [(None, 2, "ok"), ("2", 2, "ok"), ("1", 2, "ok"), ("3", 2, "note"), ("0", 2, "wrong"), ("many", 2, "wrong")],
)
def test_threads(variable: str | None, cores: int, state: str) -> None:
    assert thread_diagnosis(variable, cores).state == state


def test_a_package_has_its_version_or_none() -> None:
    assert version_of("no-such-package-at-all") is None
    assert version_of("sqlalchemy") is not None


def test_a_broken_plugin_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ValueError('a reason')\n")
    found = {one.topic: one for one in examine_machine((tmp_path / "broken.py",))}
    broken = found["plugin broken"]
    assert broken.state == "wrong"
    assert "a reason" in broken.text
    assert "harness check" in broken.remedy
    assert {f"extra {extra}" for extra in EXTRAS} <= found.keys()
