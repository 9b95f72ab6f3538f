"""One torch thread a worker: with two, a busy second core makes small networks many times slower."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

from harness.plugin.ball import BALLS
from tests.balls import L2

# no deadline: a slow machine is no failure; the same examples every time: nor is bad luck
settings.register_profile("harness", deadline=None, derandomize=True)
settings.load_profile("harness")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def l2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ball of the Euclidean norm is there, as if it shipped."""
    monkeypatch.setitem(BALLS, L2.norm, L2)
