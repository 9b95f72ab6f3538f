"""``import harness``: light, and everything that it promises is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import harness

HEAVY = ("torch", "sqlalchemy", "pandas", "numpy", "typer", "rich", "alembic", "pydantic")


def imported_by(program: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stdout.split())


def test_importing_harness_loads_nothing_heavy() -> None:
    assert imported_by("import harness; dir(harness)") & set(HEAVY) == set()


def test_opening_results_loads_no_torch() -> None:
    loaded = imported_by("import harness; r = harness.open(); r.leaderboard(); r.runs(); repr(r.evaluations())")
    assert loaded & {"torch", "pandas", "typer"} == set()


def test_every_name_is_there_and_listed() -> None:
    for name in harness.__all__:
        assert getattr(harness, name).__name__ == name
        assert getattr(harness, name).__doc__
    assert set(harness.__all__) <= set(dir(harness))


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        harness.train  # noqa: B018
