"""Where work is done, on machines with no, one, and four CUDA devices."""

from __future__ import annotations

import math
import os

import pytest
import torch

from harness.errors import SettingError
from harness.execution.executors.executor import InProcess
from harness.execution.executors.placement import Placement, placement
from harness.execution.executors.processes import Processes

CPU = torch.device("cpu")


def cuda(*numbers: int) -> tuple[torch.device, ...]:
    return tuple(torch.device("cuda", number) for number in numbers)


@pytest.fixture
def four_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


def test_the_processor_has_a_worker_a_core_or_as_many_as_asked() -> None:
    assert placement(CPU) == Placement(os.cpu_count() or 1)
    assert placement(CPU, workers=7, every=True, per_device=3) == Placement(7)
    assert placement(CPU, workers=7).cores == 7
    with pytest.raises(SettingError, match=r"--devices is refused: it is for CUDA devices; .*--workers"):
        placement(CPU, names=["cpu"])


@pytest.mark.usefixtures("four_devices")
@pytest.mark.parametrize(
    ("asked", "workers", "devices"),
    [
        ({}, 1, (0,)),  # --device cuda:0
        ({"every": True}, 4, (0, 1, 2, 3)),  # neither --device nor --devices
        ({"every": True, "per_device": 3}, 12, (0, 1, 2, 3)),
        ({"every": True, "workers": 2}, 2, (0, 1, 2, 3)),
        ({"names": ["cuda:3", "cuda:1"]}, 2, (3, 1)),
        ({"names": ["cuda:2"], "per_device": 2}, 2, (2,)),
        ({"workers": 9}, 1, (0,)),
    ],
)
def test_each_device_has_its_workers(asked: dict[str, object], workers: int, devices: tuple[int, ...]) -> None:
    found = placement(cuda(0)[0], **asked)  # type: ignore[arg-type]
    assert found == Placement(workers, cuda(*devices))
    assert found.cores == 1


@pytest.mark.usefixtures("four_devices")
@pytest.mark.parametrize("names", [["cuda:1", "cuda:1"], ["cuda", "cuda:0"], ["cuda:0", "cpu"]])
def test_devices_that_do_not_fit_are_refused(names: list[str]) -> None:
    with pytest.raises(SettingError, match=r"--devices .* is refused: name different CUDA devices"):
        placement(cuda(0)[0], names=names)


@pytest.mark.usefixtures("four_devices")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingError, match=r"cuda:4 is not on this machine: it has 4 CUDA device\(s\)"):
        placement(cuda(0)[0], names=["cuda:0", "cuda:4"])


def test_processes_are_for_several_items_or_for_a_limit() -> None:
    kinds = [type(Placement(*each).executor(items)) for each, items in (((4,), 1), ((1,), 9), ((4,), 0))]
    assert kinds == [InProcess] * 3
    assert isinstance(Placement(1, (), 60.0).executor(1), Processes)
    with Placement(4, cuda(0, 1)).executor(3) as executor:
        assert isinstance(executor, Processes)
        assert (executor.workers, executor._limit_s, executor._devices) == (3, math.inf, cuda(0, 1))


@pytest.mark.parametrize(
    ("devices", "planned", "expected"),
    [
        ((), (CPU, CPU), (CPU, CPU)),
        (cuda(0, 1, 2, 3), cuda(0, 1), cuda(0, 1)),  # all are used, and the network is planned from the first on
        (cuda(2), cuda(2, 3), cuda(2, 3)),  # --device cuda:2
        (cuda(3, 1, 0), cuda(3, 4), cuda(3, 1)),  # --devices
        (cuda(3, 1, 0), cuda(3), cuda(3)),
    ],
)
def test_a_network_on_several_devices_has_those_that_were_named(
    devices: tuple[torch.device, ...], planned: tuple[torch.device, ...], expected: tuple[torch.device, ...]
) -> None:
    assert Placement(4, devices).together(planned) == expected


def test_more_devices_a_network_than_were_named_are_refused() -> None:
    with pytest.raises(SettingError, match=r"--devices-per-run 3 is refused: --devices names 2; name as many"):
        Placement(2, cuda(0, 1)).together(cuda(0, 1, 2))


def test_a_limit_that_nobody_would_watch_is_refused() -> None:
    limited = Placement(2, (), 60.0)
    assert limited.together((CPU,)) == (CPU,)
    with pytest.raises(SettingError, match=r"--time-limit is refused beside --devices-per-run"):
        limited.together((CPU, CPU))
