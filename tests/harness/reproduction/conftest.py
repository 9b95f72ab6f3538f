"""A store to put measured figures into."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.write(str(tmp_path / "results.db"))
