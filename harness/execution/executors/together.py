"""Several processes on this machine that train one network together, each on a device of its own."""

from __future__ import annotations

import contextlib
import logging
import pickle
import queue
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from harness.errors import HarnessError
from harness.events import Event, Report
from harness.execution.executors.carried import Carried
from harness.execution.executors.child import CONTEXT, begin_worker, mistake_of, start_worker
from harness.execution.executors.executor import POLL_S, Executor, Performed, Supply, one_by_one
from harness.execution.work import TrainWork
from harness.runtime.stopping import asked_to_stop
from harness.training.together.peers import peers_met

_GRACE_S = 10.0  # for the first process, once another has ended with an error: most often it has the same
_DEATH_S = 0.5  # for the system to tell of the death of a process, once the first one has missed it


@dataclass(frozen=True)
class _Ended:
    """A process's last message about an item: no error, or the exception that ended it."""

    rank: int
    error: Carried | None


class Together:
    """Trains one network after the other, each with all processes. Only the first process reports, and writes files.

    A context manager. The processes start at the first training. Once one of them has failed or has died, the others
    may wait for it for ever: all are ended then, and the next training has new ones.

    Args:
        devices: one for each process.
    """

    workers = 1
    whole_machine = True

    def __init__(self, devices: tuple[torch.device, ...]) -> None:
        self._devices = devices
        self._processes: list[BaseProcess] = []
        self._open = contextlib.ExitStack()
        self._told_to_stop = False

    def run(self, works: Supply[TrainWork], listen: Report) -> Iterator[Performed[TrainWork]]:
        """Perform the trainings; as ``Executor.run``."""
        for work in one_by_one(works):
            if not self._processes:
                self._start()
            try:
                error = self._perform(work, listen)
            except BaseException:
                self._end()
                raise
            if error is not None:
                self._end()
            yield Performed(work, mistake_of(error))

    def _start(self) -> None:
        self._told_to_stop = False
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="harness-meeting-"))
        self._events: Any = CONTEXT.Queue()
        self._tasks: list[Any] = [CONTEXT.Queue() for _ in self._devices]
        seen, self._stop = CONTEXT.Pipe(duplex=False)  # as in Processes: nobody takes its byte, so all see it
        for channel in (self._events, *self._tasks):
            self._open.callback(_close, channel)
        self._open.callback(seen.close)
        self._open.callback(self._stop.close)
        for rank, tasks in enumerate(self._tasks):
            arguments = (Path(folder) / "meeting", rank, self._devices, tasks, self._events, seen)
            self._processes.append(start_worker(_serve, *arguments))

    def _perform(self, work: TrainWork, listen: Report) -> Carried | None:
        """Have all processes do one training; the error that ended it, of the first process if it has one.

        Raises:
            HarnessError: a process has died.
        """
        for tasks in self._tasks:
            tasks.put(work)
        ended: dict[int, Carried | None] = {}
        deadline = float("inf")
        while len(ended) < len(self._processes) and time.monotonic() < deadline:
            if asked_to_stop() and not self._told_to_stop:
                self._told_to_stop = True
                self._stop.send_bytes(b"!")
            try:
                message: Event | _Ended = pickle.loads(self._events.get(timeout=POLL_S))
            except queue.Empty:
                self._raise_if_dead(work)
                continue
            if not isinstance(message, _Ended):
                listen(message)
                continue
            ended[message.rank] = message.error
            if message.error is not None:
                deadline = min(deadline, time.monotonic() + (_GRACE_S if message.rank else _DEATH_S))
        errors = [error for _, error in sorted(ended.items(), key=lambda pair: pair[0]) if error is not None]
        if errors:
            self._raise_if_dead(work)  # what another process met with then is no more than the broken connection
        return errors[0] if errors else None

    def _raise_if_dead(self, work: TrainWork) -> None:
        for number, process in enumerate(self._processes, 1):
            if not process.is_alive():
                raise HarnessError(
                    f"process {number} of the {len(self._processes)} that train {work.spec.label} together ended with"
                    f" exit code {process.exitcode} (-9 often means: out of memory); the others were ended, and the"
                    " last state is kept: run the command again, also with another --devices-per-run"
                )

    def _end(self) -> None:
        for process in self._processes:
            process.kill()  # a worker ignores SIGTERM, and may wait for another for ever
        for process in self._processes:
            process.join()
        self._processes = []
        self._open.close()

    def __enter__(self) -> Together:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()


def _close(channel: Any) -> None:
    channel.close()
    channel.cancel_join_thread()


def _serve(meeting: Path, rank: int, devices: tuple[torch.device, ...], tasks: Any, events: Any, stop: Any) -> None:
    """A process's loop: meet the others, then take a training, do the share, say how it ended. The parent ends it."""
    begin_worker(stop)
    if rank:
        logging.getLogger("harness").addHandler(logging.NullHandler())  # the first process has the run's log

    def report(message: Event | _Ended) -> None:
        events.put(pickle.dumps(message))  # here, since the queue's own thread would drop what cannot be pickled

    try:
        met = peers_met(meeting, rank, len(devices), devices[rank])
        with met as peers:
            while True:
                work: TrainWork = tasks.get()
                error: Carried | None = None
                try:
                    replace(work, peers=peers, device=devices[rank]).perform(report)
                except Exception as raised:
                    error = Carried.of(raised)
                report(_Ended(rank, error))
    except Exception as raised:  # they could not meet
        report(_Ended(rank, Carried.of(raised)))
        while True:
            tasks.get()  # the parent ends all


def trainers(devices: tuple[torch.device, ...], executor: Executor) -> contextlib.AbstractContextManager[Any]:
    """What performs trainings: on several devices, processes that train together; else what does all other work."""
    return Together(devices) if len(devices) > 1 else contextlib.nullcontext(executor)
