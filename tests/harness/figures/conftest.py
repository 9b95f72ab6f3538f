"""Stores that several tests read and none changes."""

from __future__ import annotations

import pytest

from harness.store.store import Store
from tests.harness.figures import made


@pytest.fixture(scope="session")
def board() -> tuple[Store, made.Known]:
    """Three methods with three networks each, attacked at the checkpoint last; and the verdicts."""
    store = Store.in_memory()
    return store, made.fill(store)


@pytest.fixture(scope="session")
def two_checkpoints() -> tuple[Store, made.Known, made.Known]:
    """The same networks attacked at the checkpoints early and last; and the verdicts of each."""
    store = Store.in_memory()
    return store, made.fill(store, checkpoint="early"), made.fill(store, checkpoint="last")


@pytest.fixture
def store() -> Store:
    """An empty store."""
    return Store.in_memory()
