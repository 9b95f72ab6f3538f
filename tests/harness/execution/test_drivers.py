"""Commands that share items: no lease for what is done, and eight hundred items among eight, each written once."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.execution.claimed import Claimed
from harness.execution.claims import Claims
from harness.store.store import Store
from tests.soak.drivers import DRIVERS, ITEMS, share


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_each_item_is_done_once_though_one_is_killed_and_one_stands_still(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    location = str(tmp_path / "a.db") if backend == "sqlite" else request.getfixturevalue("server_url")
    found = share(location, tmp_path, random.Random(1))
    assert found["items"] == DRIVERS * ITEMS


def test_no_lease_is_taken_for_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To take a lease, and to give it back, would make every other command wait."""
    store = Store.write(str(tmp_path / "results.db"))
    items: list[Any] = [SimpleNamespace(key=key, near=key) for key in ("a", "b", "c")]
    asked: list[str] = []
    take = store.take

    def noted(item: str, *given: Any) -> Any:
        asked.append(item)
        return take(item, *given)

    monkeypatch.setattr(store, "take", noted)
    with Claims(store, lambda _event: None) as claims:
        works = Claimed[Any](claims, lambda work: work.key != "b")
        works.add(items)
        while not works.over:
            work = works.take()
            if work is not None:
                works.ended(work, None)
    store.close()
    assert asked == ["a", "c"]
