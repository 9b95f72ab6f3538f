"""One process that forks the commands of all tests here, and each job once without a stop."""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.dying.deaths import Job
from tests.dying.jobs import find_job
from tests.dying.started import Starter, starter


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    if sys.platform != "linux":
        pytest.skip("elsewhere nobody can tell for certain that a process is dead: its lease must run out")
    with starter(tmp_path_factory.mktemp("notes")) as made:
        yield made


@pytest.fixture(scope="session")
def known(commands: Starter, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Job]:
    """A job by its name."""
    made: dict[str, Job] = {}

    def find(name: str) -> Job:
        if name not in made:
            made[name] = find_job(name, commands, tmp_path_factory.mktemp(name))
        return made[name]

    return find


@pytest.fixture
def draws() -> random.Random:
    """Random moments; pytest prints the seed where a test fails."""
    seed = secrets.token_hex(4)
    print(f"the seed is {seed}")
    return random.Random(seed)
