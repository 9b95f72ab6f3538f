"""Which devices a training takes, on a machine that has some, and how many threads each process has."""

from __future__ import annotations

import re

import pytest
import torch

from harness.errors import SettingError
from harness.runtime.device import LARGE_NETWORK, devices_from, training_threads

CPU = torch.device("cpu")


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("first", "number", "expected"), [(0, 1, [0]), (0, 4, [0, 1, 2, 3]), (2, 2, [2, 3]), (3, 1, [3])]
)
def test_so_many_from_the_first_one_on(first: int, number: int, expected: list[int]) -> None:
    devices = devices_from(torch.device("cuda", first), number)
    assert devices == tuple(torch.device("cuda", index) for index in expected)


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("first", "number", "said"),
    [
        (0, 5, "--devices-per-run 5 is refused: this machine has 4 CUDA device(s);"),
        (3, 2, "--devices-per-run 2 is refused: this machine has 1 CUDA device(s) from cuda:3 on;"),
    ],
)
def test_more_than_there_are_are_refused(first: int, number: int, said: str) -> None:
    with pytest.raises(SettingError, match=f"^{re.escape(said)}"):
        devices_from(torch.device("cuda", first), number)


def test_the_cpu_takes_any_number_of_processes() -> None:
    assert devices_from(CPU, 3) == (CPU, CPU, CPU)


def test_processes_that_train_together_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    large = [training_threads(LARGE_NETWORK, CPU, processes) for processes in (1, 2, 3, 16)]
    assert large == [8, 4, 2, 1]
    assert training_threads(LARGE_NETWORK - 1, CPU, 2) == 1
    assert training_threads(LARGE_NETWORK, torch.device("cuda", 0), 2) == 1
