"""How many items a cluster has room for, what each needs of it, and what to say while there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from harness.errors import HarnessError
from harness.execution.executors.cluster.connection import Resources, head_answers, resources
from harness.execution.work import Work

_ASK_S = 2.0  # a cluster grows and shrinks
_PATIENCE_S = 10.0  # without a word about waiting; to start a worker takes some seconds
_REPEAT_S = 600.0
_HEAD_S = 30.0  # that a head may be silent, which starts anew; after sixty Ray would end this process


class Capacity:
    """What the cluster has, asked again every two seconds; each method raises HarnessError if its head is gone.

    Args:
        most: how many items are performed side by side, at most; None: as many as there is room for.
        per_device: how many items share a CUDA device; 0: they are computed on the processors.
    """

    def __init__(self, most: int | None, per_device: int) -> None:
        self._most, self._per_device, self._on_cuda = most, per_device, per_device > 0
        self._asked, self._has = -1e9, Resources(0, 0, 0, 0, 0)
        self._cores = 1.0  # that the last item needs
        self._idle_since: float | None = None
        self._silent_since: float | None = None  # the head
        self._told: tuple[str, float] = ("", -1e9)

    def needs(self, work: Work) -> dict[str, float]:
        """What Ray must keep free for an item: so many cores, and a part of a CUDA device."""
        if self._on_cuda:
            return {"num_cpus": 0.0, "num_gpus": 1 / self._per_device}
        # a task that needs more cores than any machine has would wait for ever
        widest = self._now().widest
        self._cores = float(min(work.threads, widest) if widest else work.threads)
        return {"num_cpus": self._cores, "num_gpus": 0.0}

    def fits(self, cores: float) -> bool:
        """Whether a machine has so many cores, or none is there: then the next one may have them."""
        return cores <= self._now().widest or not self._now().widest

    def room(self) -> int:
        """How many items the whole cluster can perform side by side, whoever else uses it."""
        has = self._now()
        there = int(has.devices * self._per_device if self._on_cuda else has.cores // self._cores)
        return there if self._most is None else min(there, self._most)

    def wanted(self) -> int:
        """How many items should be with the cluster: one more than there is room for, which begins at once there."""
        return self.room() + 1 if self._most is None else self._most

    def remarks(self, waiting: Sequence[Work], running: int) -> Iterator[str]:
        """What to tell the user if items wait and none is performed: after a while, and again when it changes."""
        clock = time.monotonic()
        if running or not waiting:
            self._idle_since = None
            return
        self._idle_since = clock if self._idle_since is None else self._idle_since
        if clock - self._idle_since < _PATIENCE_S:
            return
        has, number = self._now(), len(waiting)
        what, total, free = ("CUDA devices", has.devices, has.free_devices)
        if not self._on_cuda:
            what, total, free = ("cores", has.cores, has.free_cores)
        text = (
            f"the cluster has {total:g} {what}, of which {free:g} are free: {number} item(s) wait for a place there;"
            " Ctrl-C stops, and the same command goes on"
        )
        if text != self._told[0] or clock - self._told[1] > _REPEAT_S:
            self._told = (text, clock)
            yield text

    def _now(self) -> Resources:
        clock = time.monotonic()
        if clock - self._asked <= _ASK_S:
            return self._has
        if head_answers():
            self._has, self._silent_since = resources(), None
        else:
            self._silent_since = clock if self._silent_since is None else self._silent_since
            if clock - self._silent_since > _HEAD_S:
                raise HarnessError(
                    f"the head of the Ray cluster has not answered for {_HEAD_S:g} s: start the cluster again, and run"
                    " the same command again: it goes on from what came home"
                )
        self._asked = time.monotonic()
        return self._has
