"""Performs items as tasks of a Ray cluster: which task has which item, and what becomes of items whose task dies."""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    RuntimeEnvSetupError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.errors import HarnessError, LeaseLost, Stopped, WorkerLost, one_line
from harness.events import Noted, Report
from harness.execution.executors.carried import Carried, WorkerBug
from harness.execution.executors.child import ItemEnded, mistake_of
from harness.execution.executors.cluster.arrivals import keep, with_commit
from harness.execution.executors.cluster.capacity import Capacity
from harness.execution.executors.cluster.connection import head_answers
from harness.execution.executors.cluster.messages import FileMade, LogGrew
from harness.execution.executors.cluster.parcel import Packer
from harness.execution.executors.cluster.stop import wait_for_ever
from harness.execution.executors.cluster.task import performed
from harness.execution.executors.executor import POLL_S, Executor, Performed, Supply, W
from harness.execution.executors.processes import DEATHS
from harness.runtime.stopping import asked_to_stop

_END_S = 30.0  # for the cluster to end a worker


@dataclass(eq=False)
class _Task(Generic[W]):
    """A task of the cluster, and the item that it performs.

    Attributes:
        stream: Ray's generator of references to lists of messages.
        cores: that it waits for.
        taken_back: whether no machine has them any more, so that the item is to be given to the cluster anew.
        until: when the item has taken too long, by the monotonic clock; counted from its first message.
        ended: its last message about the item.
        refused: why this process has ended it.
    """

    number: int
    work: W
    stream: Any
    until: float = math.inf
    cores: float = 0.0
    began: bool = False
    taken_back: bool = False
    ended: ItemEnded | None = None
    refused: HarnessError | None = None


class RayTasks(Executor):
    """Every item is a task with its cores, or its share of a CUDA device; Ray decides where.

    This process must be connected to a cluster (``connect``).

    Args:
        most: how many items are performed side by side, at most; None: as many as the cluster has room for.
        per_device: how many items share a CUDA device; 0: they are computed on the processors.
        limit_s: how long an item may take; after that its worker is ended, and the item is given up.
        mixed: take workers with other versions of packages.
    """

    whole_machine = False

    def __init__(
        self, most: int | None, per_device: int = 0, limit_s: float = math.inf, *, mixed: bool = False
    ) -> None:
        self._limit_s, self._capacity = limit_s, Capacity(most, per_device)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        waiting: Any = ray.remote(wait_for_ever)
        self._sign: Any = waiting.options(num_cpus=0, max_retries=0, scheduling_strategy=here).remote()
        self._packer = Packer(secrets.token_hex(8), self._sign, _put, mixed=mixed)
        self._task: Any = ray.remote(performed)
        self._tasks: dict[Any, _Task[Any]] = {}  # by stream
        self._deaths: Counter[tuple[int, str]] = Counter()  # of an item, by kind
        self._told_to_stop = False

    @property
    def workers(self) -> int:  # type: ignore[override]
        """How many items the cluster has room for now."""
        return max(1, self._capacity.room())

    def run(self, works: Supply[W], listen: Report) -> Iterator[Performed[W]]:
        count, again = itertools.count(), deque[_Task[W]]()
        self._deaths.clear()  # the numbers begin anew
        while not works.over or self._tasks or again:
            while again:
                lost = again.popleft()
                self._submit(lost.number, lost.work)
            while len(self._tasks) < self._capacity.wanted() and (work := works.take()) is not None:
                self._submit(next(count), work)
            if not self._tasks:
                time.sleep(POLL_S)
            self._see_to_stop()
            self._end_late()
            self._take_back_too_wide()
            waiting = [task.work for task in self._tasks.values() if not task.began]
            for text in self._capacity.remarks(waiting, len(self._tasks) - len(waiting)):
                listen(Noted(text))
            for task in self._spoken(listen):
                outcome = self._outcome(task, listen)
                if outcome is None:
                    again.append(task)
                else:
                    yield outcome

    def _submit(self, number: int, work: W) -> None:
        needs = self._capacity.needs(work)
        stream = self._task.options(num_returns="streaming", max_retries=0, name=work.key, **needs).remote(
            self._packer.parcel(work)
        )
        self._tasks[stream] = _Task(number, work, stream, cores=needs["num_cpus"])

    def _spoken(self, listen: Report) -> list[_Task[Any]]:
        """Hear the tasks that have news, and give those that have ended, one way or another; it waits a little."""
        if not self._tasks:
            return []
        streams = list(self._tasks)
        if not ray.wait(streams, num_returns=1, timeout=POLL_S, fetch_local=False)[0]:
            return []
        ready, _ = ray.wait(streams, num_returns=len(streams), timeout=0, fetch_local=False)
        return [task for stream in ready if not self._hears(task := self._tasks[stream], listen)]

    def _hears(self, task: _Task[Any], listen: Report) -> bool:
        """Hear one list of messages of a task; whether there may be more."""
        try:
            messages = ray.get(next(task.stream))
        except StopIteration:
            del self._tasks[task.stream]
            return False
        except RayError as error:
            del self._tasks[task.stream]
            task.ended = task.ended or ItemEnded(Carried.of(self._loss(task, error)))
            return False
        if not task.began:
            task.began, task.until = True, time.monotonic() + self._limit_s
        for message in messages if not isinstance(task.refused, LeaseLost) else ():
            if isinstance(message, ItemEnded):
                task.ended, task.until = message, math.inf
            elif isinstance(message, (FileMade, LogGrew)):
                try:
                    keep(task.work, message)
                except LeaseLost as lost:
                    self._end(task, lost)
                    break
                if isinstance(message, FileMade):  # it has got on: what killed it before does not come at once again
                    del self._deaths[task.number, "node"]
            else:
                listen(with_commit(message))
        return True

    def _loss(self, task: _Task[Any], error: RayError) -> HarnessError:
        """What the end of a task without a word means.

        Raises:
            HarnessError: the cluster cannot begin any task.
            RayError: it is a bug.
        """
        if task.refused is not None:
            return task.refused
        if isinstance(error, TaskCancelledError) and task.taken_back and not asked_to_stop():
            return WorkerLost(f"no machine of the cluster has {task.cores:g} cores any more")
        if isinstance(error, TaskCancelledError):
            return Stopped("stopped before it began")
        if isinstance(error, (NodeDiedError, ObjectLostError)):
            self._deaths[task.number, "node"] += 1
            return WorkerLost("the machine of its worker left the cluster")
        if isinstance(error, (WorkerCrashedError, OutOfMemoryError)):
            self._deaths[task.number, "worker"] += 1
            memory = isinstance(error, OutOfMemoryError)
            return WorkerLost("its machine had no memory left" if memory else "its worker process ended")
        if isinstance(error, RuntimeEnvSetupError):
            raise HarnessError(f"the cluster's workers cannot be prepared: {one_line(error)}") from error
        if isinstance(error, RayTaskError):  # ``performed`` itself raises nothing
            said = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise HarnessError(
                f"a worker of the cluster cannot begin its work: {said[-1]}; install there what is here, in the same"
                " versions"
            ) from error
        raise error

    def _outcome(self, task: _Task[W], listen: Report) -> Performed[W] | None:
        """How an item ended; None: it is done again, from its last state."""
        if task.ended is None and task.refused is not None:  # it had ended before it could be ended
            return Performed(task.work, task.refused)
        if task.ended is None:  # the stream had an end, and no last word
            raise WorkerBug(f"a worker of the cluster said nothing more about {task.work.key}")
        error = task.ended.error.exception() if task.ended.error is not None else None
        if isinstance(error, WorkerLost) and not error.final:
            deaths = max(self._deaths[task.number, kind] for kind in ("node", "worker"))
            if deaths < DEATHS and not asked_to_stop():
                listen(Noted(f"{error}: {task.work.key} is done again"))
                return None
            return Performed(task.work, error.times(deaths))
        return Performed(task.work, mistake_of(task.ended.error))

    def _see_to_stop(self) -> None:
        if asked_to_stop() and not self._told_to_stop:
            self._told_to_stop = True
            ray.cancel(self._sign, force=True)
        if self._told_to_stop:
            for task in self._tasks.values():
                if not task.began:
                    ray.cancel(task.stream)

    def _end_late(self) -> None:
        for task in [held for held in self._tasks.values() if time.monotonic() > held.until]:
            text = f"it took more than {self._limit_s / 60:g} minutes, and was ended"
            self._end(task, WorkerLost(text, final=True))

    def _take_back_too_wide(self) -> None:
        """Take items back that wait for more cores than any machine has, since a wider one has left: they ask for less.

        Else they would wait for ever.
        """
        for task in self._tasks.values():
            if not (task.began or task.taken_back or self._capacity.fits(task.cores)):
                task.taken_back = True
                ray.cancel(task.stream)

    def _end(self, task: _Task[Any], why: HarnessError) -> None:
        """End a task's worker; its stream says so next. If it does not, the worker is ended again."""
        task.refused, task.until = task.refused or why, time.monotonic() + _END_S
        ray.cancel(task.stream, force=True)

    def __exit__(self, *exception: object) -> None:
        if not head_answers():  # the tasks end with this process
            return
        for stream in self._tasks:
            ray.cancel(stream, force=True)
        self._tasks.clear()
        ray.cancel(self._sign, force=True)


def _put(value: Any) -> Any:
    """Put a value into the cluster's memory.

    Raises:
        HarnessError: neither the memory nor the disk of this machine has room for it.
    """
    try:
        return ray.put(value)
    except (ObjectStoreFullError, OutOfDiskError) as error:
        raise HarnessError(
            f"the Ray cluster's memory on this machine has no room: {one_line(error)}; start Ray here with more"
            " (--object-store-memory), or free the disk that it spills to"
        ) from None
