"""Eight commands share eight hundred items, on a file and on a server: each is written once, by who held its lease."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.drivers import DRIVERS, ITEMS, share


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_each_item_is_done_once_though_one_is_killed_and_one_stands_still(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    location = str(tmp_path / "a.db") if backend == "sqlite" else request.getfixturevalue("server_url")
    found = share(location, tmp_path, random.Random(1))
    assert found["items"] == DRIVERS * ITEMS
