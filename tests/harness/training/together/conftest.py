"""Groups of processes that the tests of this folder share, since to start them takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.training.together.group import Group, group_of


@pytest.fixture(scope="session")
def pair() -> Iterator[Group]:
    with group_of(2) as group:
        yield group


@pytest.fixture(scope="session")
def four() -> Iterator[Group]:
    with group_of(4) as group:
        yield group
