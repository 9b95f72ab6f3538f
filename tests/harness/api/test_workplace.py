"""What would fail late is refused before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.api.workplace import Workplace
from harness.errors import HarnessError


def test_the_time_of_a_lease_is_checked_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_LEASE_S", "soon")
    place = Workplace(db=str(tmp_path / "results.db"), runs_dir=tmp_path / "runs")
    place.check(writing=False)
    with pytest.raises(HarnessError, match=r"^HARNESS_LEASE_S='soon' is refused"):
        place.check(writing=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writing", [True, False])
def test_work_on_a_cluster_is_refused_without_ray_also_where_it_is_only_planned(
    writing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    place = Workplace(db=str(tmp_path / "results.db"), runs_dir=tmp_path / "runs", executor="ray")
    with pytest.raises(HarnessError, match="needs Ray, which is not installed"):
        place.check(writing=writing, connecting=False)


@pytest.mark.parametrize(
    ("how", "begun"),
    [({"workers": 2}, 1), ({"workers": 1}, 0), ({"workers": 2, "executor": "ray"}, 0)],
)
def test_workers_begin_early_where_there_will_be_several(
    how: dict[str, Any], begun: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    monkeypatch.setattr("harness.execution.executors.child.prepare_workers", lambda: calls.append(None))
    Workplace(device="cpu", **how).begin_workers()
    assert len(calls) == begun
