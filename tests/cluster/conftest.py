"""A cluster for the tests of a file, and commands that work on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.machines import Machines, machines
from tests.dying.started import Starter, starter


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    pytest.importorskip("ray")
    with machines(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    with starter(tmp_path_factory.mktemp("commands"), fresh=True) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_is_left_for_the_next_test(cluster: Machines, commands: Starter) -> Iterator[None]:
    """Ends the commands of a test, and removes its machines: a test that fails shall not make others fail."""
    before = set(cluster.names)
    yield
    commands.end()
    for name in cluster.names - before:
        cluster.remove(name)


@pytest.fixture
def note(cluster: Machines) -> Callable[[str], Path]:
    """A file that the workers know by its name; there is none at first."""
    for file in cluster.notes.glob("note-*"):
        file.unlink()
    return lambda name: cluster.notes / f"note-{name}"
