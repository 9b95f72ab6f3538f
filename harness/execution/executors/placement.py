"""Where a command's items of work are performed: on which devices, and how many side by side."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.errors import SettingError
from harness.execution.executors.executor import Executor, InProcess
from harness.execution.executors.processes import Processes
from harness.runtime.device import resolve_device


@dataclass(frozen=True)
class Placement:
    """Where items are performed.

    Attributes:
        workers: how many items are performed side by side.
        devices: worker n computes on device n, counted round; empty: each item on its own device.
        limit_s: how long an item may take before it is given up.
    """

    workers: int = 1
    devices: tuple[torch.device, ...] = ()
    limit_s: float = math.inf

    @property
    def cores(self) -> int:
        """How many cores of the processor the items share; 1 on other devices."""
        return self.workers if all(device.type == "cpu" for device in self.devices) else 1

    def together(self, planned: tuple[torch.device, ...]) -> tuple[torch.device, ...]:
        """The devices of a network that is trained on several: as they were planned, or the first that were named.

        Raises:
            SettingError: fewer were named; or the time of an item is limited, which nobody watches there.
        """
        if len(planned) > 1 and self.limit_s < math.inf:
            raise SettingError("--time-limit is refused beside --devices-per-run: leave one of them out")
        if len(planned) == 1 or len(self.devices) < 2 or set(planned) <= set(self.devices):
            return planned
        if len(planned) > len(self.devices):
            raise SettingError(
                f"--devices-per-run {len(planned)} is refused: --devices names {len(self.devices)}; name as many"
            )
        return self.devices[: len(planned)]

    def executor(self, items: int) -> Executor:
        """Processes for several items side by side, or for items whose time is limited; else this process."""
        workers = min(self.workers, max(1, items))
        if workers > 1 or self.limit_s < math.inf:
            return Processes(workers, self.devices, self.limit_s)
        return InProcess()


@dataclass(frozen=True)
class OnCluster(Placement):
    """The items are performed on the machines of a Ray cluster.

    Attributes:
        most: how many side by side, at most; None: as many as the cluster has room for.
        per_device: how many items share a CUDA device; 0: they are computed on the processors.
        mixed: whether workers may have other versions of packages.
    """

    most: int | None = None
    per_device: int = 0
    mixed: bool = False

    @property
    def cores(self) -> int:
        return 1  # whose cores are free when the last items begin, nobody knows

    def together(self, planned: tuple[torch.device, ...]) -> tuple[torch.device, ...]:
        if len(planned) > 1:
            raise SettingError(
                "--devices-per-run is refused beside --executor ray: the devices of one network are on one machine;"
                " run it there with --executor local"
            )
        return planned

    def executor(self, items: int) -> Executor:
        from harness.execution.executors.cluster.executor import RayTasks  # Ray takes a second to import

        return RayTasks(self.most, self.per_device, self.limit_s, mixed=self.mixed)


def placement(
    device: torch.device,
    *,
    workers: int | None = None,
    names: Sequence[str] | None = None,
    every: bool = False,
    per_device: int = 1,
    limit_s: float = math.inf,
) -> Placement:
    """Place the work of one command.

    Args:
        device: of the work, as it was planned.
        workers: at most so many side by side; None: one a core of the processor, and ``per_device`` a CUDA device.
        names: the devices to use; None: ``device``.
        every: use every CUDA device of this machine, where ``device`` is one and there are no ``names``.
        per_device: how many items are performed side by side on a CUDA device.
    Raises:
        SettingError: a name is no device here, is given twice, or is of another kind than ``device``.
    """
    if device.type == "cpu":
        if names is not None:
            raise SettingError(
                "--devices is refused: it is for CUDA devices; on the processor, --workers says how many"
            )
        return Placement(workers or os.cpu_count() or 1, (), limit_s)
    devices = [device]
    if names is not None:
        devices = [resolve_device(name) for name in names]
        if len(set(devices)) < len(devices) or any(one.type != device.type for one in devices):
            named = ",".join(names)
            raise SettingError(f"--devices {named} is refused: name different CUDA devices, such as cuda:0,cuda:1")
    elif every:
        devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    most = len(devices) * per_device
    return Placement(min(workers or most, most), tuple(devices), limit_s)
