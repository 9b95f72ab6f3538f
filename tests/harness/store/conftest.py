"""Stores: one without runs, and one that has a row in every table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.runtime.worker import this_worker
from harness.store.store import Store
from tests.harness.store.entries import (
    FINDINGS,
    WEIGHT,
    epoch,
    images,
    point,
    recorded_block,
    see_model,
    see_pgd_protocol,
    start,
    start_evaluation,
)

BACKENDS = ("sqlite", "postgresql")
PAIRS = (
    ("sqlite", "sqlite"),
    ("sqlite", "postgresql"),
    pytest.param("postgresql", "sqlite", marks=pytest.mark.slow),  # so that the quick part stays quick
)
OF_A_FILE = {"file", "full", "other"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of a store is made with both databases; one that names a file, with SQLite alone."""
    names, both = set(metafunc.fixturenames), not OF_A_FILE & set(metafunc.fixturenames)
    if {"backend", "other_backend"} <= names:
        metafunc.parametrize(("backend", "other_backend"), PAIRS if both else PAIRS[:1])
    elif "backend" in names:
        metafunc.parametrize("backend", BACKENDS if both else BACKENDS[:1])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "board.db"


@pytest.fixture
def backend() -> str:
    """Given by ``pytest_generate_tests``."""
    return BACKENDS[0]


@pytest.fixture
def place(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """What ``--db`` is given: the path of a file, or the address of a database on a server."""
    if backend == "sqlite":
        return str(tmp_path / "board.db")
    url: str = request.getfixturevalue("server_url")
    return url


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    """A store without runs."""
    store = Store.write(place)
    yield store
    store.close()


@pytest.fixture(scope="module")
def full_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has a row in every table but that of removed attempts."""
    file = tmp_path_factory.mktemp("full") / "board.db"
    store = Store.write(str(file))
    run = start(store)
    see_pgd_protocol(store)
    store.add_epoch(run.id, epoch(1, point(64), histograms=(WEIGHT,)))
    store.add_block(recorded_block(start_evaluation(store, run), 0, range(10), images(0.5)))
    store.queue([run.id], this_worker())
    store.take("the training", this_worker(), 60)
    model = see_model(store)
    store.add_examination(model.checkpoint.id, {"epsilon": 0.2}, FINDINGS, 1.5, {"device": "cpu"})
    store.close()
    return file


@pytest.fixture
def full(full_template: Path, file: Path) -> Path:
    """The file of a store that has a row in every table but that of removed attempts."""
    return Path(shutil.copy(full_template, file))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The file of another database, without runs."""
    Store.write(str(tmp_path / "other.db")).close()
    return tmp_path / "other.db"


@pytest.fixture
def other_backend() -> str:
    """As ``backend``."""
    return BACKENDS[0]


@pytest.fixture
def other_place(other_backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """What ``--db`` is given for another database, without runs."""
    place = tmp_path / "other.db"
    url: str = str(place) if other_backend == "sqlite" else request.getfixturevalue("other_server_url")
    Store.write(url).close()
    return url


@pytest.fixture
def there(other_place: str) -> Iterator[Store]:
    """The other database."""
    store = Store.write(other_place)
    yield store
    store.close()
