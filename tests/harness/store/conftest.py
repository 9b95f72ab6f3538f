"""Stores: one without runs, and one that has a row in every table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store.records import ProtocolRecord
from harness.store.store import Store
from tests.harness.store.entries import (
    FINDINGS,
    WEIGHT,
    epoch,
    images,
    point,
    recorded_block,
    see_model,
    start,
    start_evaluation,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "board.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    """A store without runs."""
    store = Store.write(str(file))
    yield store
    store.close()


@pytest.fixture
def full(store: Store, file: Path) -> Path:
    """The file of a store that has a row in every table."""
    run = start(store)
    store.see_protocol(ProtocolRecord("p" * 64, "tiny", "t" * 64, {"pgd": "a"}, {"epsilon": 0.1}), {"epochs": 2})
    store.add_epoch(run.id, epoch(1, point(64), histograms=(WEIGHT,)))
    store.add_block(recorded_block(start_evaluation(store, run), 0, range(10), images(0.5)))
    model = see_model(store)
    store.add_examination(model.checkpoint.id, {"epsilon": 0.2}, FINDINGS, 1.5, {"device": "cpu"})
    return file


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The file of another database, without runs."""
    Store.write(str(tmp_path / "other.db")).close()
    return tmp_path / "other.db"


@pytest.fixture
def there(other: Path) -> Iterator[Store]:
    """The other database."""
    store = Store.write(str(other))
    yield store
    store.close()
