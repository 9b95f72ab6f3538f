"""One torch thread a worker: with two, a busy second core makes small networks many times slower."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(autouse=True, scope="session")
def no_times_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the user has measured with ``harness bench`` must not change an estimate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        fonts = Path(tempfile.gettempdir()) / "harness-tests-matplotlib"  # matplotlib's list of fonts takes seconds
        patch.setenv("MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR") or str(fonts))
        yield


@pytest.fixture
def l2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ball of the Euclidean norm is there, as if it shipped."""
    monkeypatch.setitem(BALLS, L2.norm, L2)
