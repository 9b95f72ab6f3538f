"""Where results, weights, and logs are kept, and which processes work where: checked before the work begins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError, SettingError, UnknownName

if TYPE_CHECKING:
    import torch

    from harness.execution.executors.placement import Placement
    from harness.planning.assessment import Assessment

Note = Callable[[str], None]
"""Receives a remark for the user, one line."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where a function or a command works.

    Attributes:
        db: the database, as ``database.locate`` takes it.
        runs_dir: the folder for weights, training states, and logs.
        workers: processes that work side by side, at most; None: one per core, and ``per_device`` on a CUDA device.
        device: what the user chose to compute on; None: the best there is.
        devices: the CUDA devices to use, by name; None: ``device``, or all that there are if that is None, too.
        per_device: how many items are performed side by side on a CUDA device.
        time_limit: minutes, after which an item of work is given up; None: it may take for ever.
        executor: ``local``; or ``ray``: the machines of a Ray cluster.
        ray_address: of the cluster; see ``connection.connect``.
        allow_mixed: whether a cluster's workers may have other versions of packages than this process.
    """

    db: str | None = None
    runs_dir: Path = Path("runs")
    workers: int | None = None
    device: str | None = None
    devices: tuple[str, ...] | None = None
    per_device: int = 1
    time_limit: float | None = None
    executor: str = "local"
    ray_address: str | None = None
    allow_mixed: bool = False

    @property
    def elsewhere(self) -> bool:
        """Whether other machines do the work."""
        return self.executor == "ray"

    @property
    def planned_on(self) -> str | None:
        """The device that the work is planned for: of several, the first; on a cluster, CUDA if it has it."""
        if self.elsewhere and self.device is None:
            from harness.execution.executors.cluster.connection import has_devices

            return "cuda" if has_devices() else "cpu"
        return self.devices[0] if self.devices else self.device

    def check(self, *, writing: bool, connecting: bool | None = None) -> None:
        """Refuse at once what would fail late: a file that is no store, or a folder that cannot be written.

        Args:
            writing: whether work is done, and its results are stored.
            connecting: whether to connect to the cluster that does it; None: as ``writing``.
        """
        from harness.files import require_writable
        from harness.runtime.device import resolve_device
        from harness.store import database
        from harness.store.leases import lease_seconds
        from harness.store.store import Store

        Store.read(self.db).close()
        for option, count in (("--workers", self.workers), ("--per-device", self.per_device)):
            if count is not None and count < 1:
                raise HarnessError(f"{option} {count} is refused: it must be 1 or more")
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise HarnessError(f"--time-limit {self.time_limit:g} is refused: it must be more than 0 minutes")
        if self.devices is not None and self.device is not None:
            raise HarnessError("--device and --devices exclude each other: leave one out")
        for name in self.devices or ():
            resolve_device(name, "--devices")
        self._check_cluster(connecting=writing if connecting is None else connecting)
        if not writing:
            return
        lease_seconds()
        database.check_writable(database.locate(self.db))
        try:
            require_writable(self.runs_dir)
        except OSError as error:
            raise HarnessError(f"--runs-dir {self.runs_dir} cannot be written: {error}; give another one") from None

    def _check_cluster(self, *, connecting: bool) -> None:
        """Refuse what a cluster cannot do, and connect to it."""
        if self.executor not in ("local", "ray"):
            raise UnknownName("executor", self.executor, ("local", "ray"))
        if not self.elsewhere:
            for option, given in (("--ray-address", self.ray_address), ("--allow-mixed", self.allow_mixed)):
                if given:
                    raise SettingError(f"{option} is refused: it is for --executor ray; add that, or leave it out")
            return
        if self.devices is not None or self.device not in (None, "cpu", "cuda"):
            raise SettingError(
                "--executor ray chooses the devices itself: leave --devices out, and write --device cpu or cuda"
            )
        from harness.execution.executors.cluster.connection import connect, find_ray, has_devices

        find_ray()  # what is only planned, or handed over, needs it as well
        if connecting:
            connect(self.ray_address)
            if self.device == "cuda" and not has_devices():
                raise SettingError("--device cuda is refused: Ray knows no machine of the cluster with a CUDA device")

    def begin_workers(self) -> None:
        """Have the imports of workers begin if there will be several, before it is known what they are to do."""
        from harness.runtime.device import resolve_device

        if not self.elsewhere and self._here(resolve_device(self.planned_on)).workers > 1:
            from harness.execution.executors.child import prepare_workers

            prepare_workers()

    def placement(self, job: Assessment) -> Placement:
        """Where the items of a job are performed.

        Raises:
            SettingError: a device is not on this machine.
        """
        from harness.execution.executors.placement import OnCluster

        if self.elsewhere:
            from harness.execution.executors.cluster.connection import room

            return OnCluster(
                workers=self.workers or room(job.device.type, self.per_device),
                limit_s=self._limit_s,
                most=self.workers,
                per_device=self.per_device if job.device.type == "cuda" else 0,
                mixed=self.allow_mixed,
            )
        return self._here(job.device)

    def _here(self, device: torch.device) -> Placement:
        from harness.execution.executors.placement import placement

        return placement(
            device,
            workers=self.workers,
            names=self.devices,
            every=self.device is None,
            per_device=self.per_device,
            limit_s=self._limit_s,
        )

    @property
    def _limit_s(self) -> float:
        return math.inf if self.time_limit is None else 60 * self.time_limit
