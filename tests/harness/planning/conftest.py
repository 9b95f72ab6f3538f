"""Stores for the plan's tests: an empty one, and one where everything is done."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store.store import Store
from tests.harness.planning.carried import carry_out, jobs


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An empty store, and one in which everything that ``jobs()`` asks for is done; made once, and copied."""
    folder = tmp_path_factory.mktemp("stores")
    empty = Store.write(str(folder / "empty.db"))
    empty.close()
    shutil.copy(folder / "empty.db", folder / "done.db")
    done = Store.write(str(folder / "done.db"))
    carry_out(done, jobs())
    done.close()
    return {name: folder / f"{name}.db" for name in ("empty", "done")}


def copied(file: Path, folder: Path) -> Iterator[Store]:
    store = Store.write(str(shutil.copy(file, folder / "results.db")))
    yield store
    store.close()


@pytest.fixture
def store(files: dict[str, Path], tmp_path: Path) -> Iterator[Store]:
    yield from copied(files["empty"], tmp_path)


@pytest.fixture
def done(files: dict[str, Path], tmp_path: Path) -> Iterator[Store]:
    yield from copied(files["done"], tmp_path)
