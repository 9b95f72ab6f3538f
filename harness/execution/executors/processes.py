"""Several processes on this machine, which perform items side by side."""

from __future__ import annotations

import contextlib
import math
import pickle
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from harness.errors import HarnessError, Stopped, WorkerLost
from harness.events import Event, Noted, Report
from harness.execution.executors.carried import Carried
from harness.execution.executors.child import CONTEXT, ItemEnded, begin_worker, mistake_of, start_worker
from harness.execution.executors.executor import POLL_S, Executor, Performed, Supply, W
from harness.execution.executors.shared_images import SharedImages, take_images
from harness.execution.executors.taken import Taken
from harness.runtime.stopping import asked_to_stop

_MEMORY = " (often: out of memory)"
_LAST_BREATH_S = 10.0
DEATHS = 3  # of workers at one item, before it is given up


@dataclass(eq=False)
class _Worker:
    """A process with a pipe of its own, so that its death can spoil no other's messages.

    Attributes:
        item: the number of the item that it has.
        near: ``Work.near`` of the item that it has, or had last.
        since: when it got that item, by the monotonic clock.
        until: when it has had the item for too long, by the monotonic clock.
        spoke: whether a message ever came from it.
    """

    place: int
    process: BaseProcess
    pipe: Connection
    item: int | None = None
    near: str | None = None
    since: float = 0.0
    until: float = math.inf
    spoke: bool = False


def _kinds(workers: Sequence[_Worker]) -> list[str]:
    return [worker.near for worker in workers if worker.near is not None]


class Processes(Executor):
    """Started as items come, and kept until the end. If one dies, its item is done again by another in its place.

    Args:
        workers: how many.
        devices: worker n computes on device n, counted round; empty: each item on its own device.
        limit_s: how long an item may take; after that its worker is ended, and the item is given up.
    """

    def __init__(self, workers: int, devices: Sequence[torch.device] = (), limit_s: float = math.inf) -> None:
        self.workers = workers
        self._devices, self._limit_s = devices, limit_s
        # A pipe whose byte nobody takes, so that all see it. An Event's ``set`` waits for each process that waits for
        # it, so for ever if one of them was killed meanwhile, or stands still.
        self._stop_seen, self._stop = CONTEXT.Pipe(duplex=False)
        self._told_to_stop = False
        self._images = SharedImages()
        self._workers: dict[int, _Worker] = {}  # by the place that they have among all
        self._died_silently = 0  # in a row, before they said a word

    def run(self, works: Supply[W], listen: Report) -> Iterator[Performed[W]]:
        taken, deaths = Taken(works), Counter[int]()
        items = taken.items
        while not taken.over:
            while len(at_work := self._at_work()) < self.workers:
                idle = next((worker for worker in self._workers.values() if worker.item is None), None)
                number = taken.next_for(idle.near if idle is not None else None, _kinds(at_work))
                if number is None:
                    break
                self._give(idle or self._start(), number, items[number])
            if len(at_work) == self.workers:
                taken.take_spare(_kinds(sorted(at_work, key=lambda worker: worker.since)))
            for worker, ended in self._heard(listen):
                done, worker.item, worker.until = worker.item, None, math.inf
                if done is None:
                    continue
                number = done
                if isinstance(ended, WorkerLost):
                    deaths[number] += 1
                    if not ended.final and deaths[number] < DEATHS and not asked_to_stop():
                        listen(Noted(f"{ended}: {items[number].key} is done again"))
                        taken.do_again(number)
                        continue
                    yield Performed(items.pop(number), ended.times(deaths[number]))
                else:
                    yield Performed(items.pop(number), mistake_of(ended.error))

    def _at_work(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.item is not None]

    def _start(self) -> _Worker:
        place = next(place for place in range(self.workers) if place not in self._workers)
        ours, theirs = CONTEXT.Pipe()
        process = start_worker(_serve, theirs, self._stop_seen)
        theirs.close()  # so that the end of the process is the end of the pipe
        started = self._workers[place] = _Worker(place, process, ours)
        return started

    def _give(self, worker: _Worker, number: int, work: W) -> None:
        own = self._devices[worker.place % len(self._devices)] if self._devices else work.device
        placed = work if own == work.device else replace(work, device=own)
        message = pickle.dumps((placed, self._images.of(work)))
        worker.item, worker.near, worker.since = number, work.near, time.monotonic()
        worker.until = worker.since + self._limit_s if worker.spoke else math.inf
        with contextlib.suppress(OSError):  # it has died: its pipe says so next
            worker.pipe.send_bytes(message)

    def _heard(self, listen: Report) -> Iterator[tuple[_Worker, ItemEnded | WorkerLost]]:
        """Hand on events, and give the workers whose item has ended, one way or another; it waits a little for news."""
        if asked_to_stop() and not self._told_to_stop:
            self._told_to_stop = True
            self._stop.send_bytes(b"!")
        by_pipe = {worker.pipe: worker for worker in self._workers.values()}
        for pipe in wait(list(by_pipe), POLL_S):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                message: Event | ItemEnded = pickle.loads(worker.pipe.recv_bytes())
            except (EOFError, OSError):
                worker.process.join(_LAST_BREATH_S)  # its pipe ends a moment before it does
                yield worker, self._bury(worker)
                continue
            if not worker.spoke:  # the time that it takes to start is no item's
                worker.spoke, worker.until, self._died_silently = True, time.monotonic() + self._limit_s, 0
            if isinstance(message, ItemEnded):
                yield worker, message
            else:
                listen(message)
        silent = [held for held in self._workers.values() if not held.process.is_alive()]
        unheard = wait([held.pipe for held in silent], 0) if silent else []
        for worker in silent:  # whose pipe has no end: a process that the item started holds it, too
            if worker.pipe not in unheard:
                yield worker, self._bury(worker)
        for worker in [held for held in self._workers.values() if time.monotonic() > held.until]:
            yield worker, self._end_late(worker, listen)

    def _end_late(self, worker: _Worker, listen: Report) -> ItemEnded | WorkerLost:
        """End a worker whose item took too long. The item may have ended, and this process been too busy to hear so."""
        worker.process.kill()
        worker.process.join()
        ended = None
        with contextlib.suppress(EOFError, OSError):  # what it said before
            while ended is None and worker.pipe.poll():
                message: Event | ItemEnded = pickle.loads(worker.pipe.recv_bytes())
                if isinstance(message, ItemEnded):
                    ended = message
                else:
                    listen(message)
        self._bury(worker)
        return ended or WorkerLost(f"it took more than {self._limit_s / 60:g} minutes, and was ended", final=True)

    def _bury(self, worker: _Worker) -> WorkerLost:
        """End a worker that is dead or is to be, and let another take its place."""
        del self._workers[worker.place]
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        code = worker.process.exitcode
        if not worker.spoke:
            self._died_silently += 1
            if self._died_silently >= DEATHS:
                raise HarnessError(
                    f"{DEATHS} worker processes ended with exit code {code} before they did anything (-9 often means:"
                    " out of memory); what was done is kept: run the command again, with fewer --workers"
                )
        return WorkerLost(f"a worker process ended with exit code {code}{_MEMORY if code == -signal.SIGKILL else ''}")

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers.values():
            worker.process.kill()  # a worker ignores SIGTERM
        for worker in self._workers.values():
            worker.process.join()
            worker.pipe.close()
        self._images.close()
        self._stop_seen.close()
        self._stop.close()


def _serve(pipe: Connection, stop: Any) -> None:
    """A worker's loop: take an item, perform it, say how it ended. The parent ends the worker."""
    begin_worker(stop)
    one_at_a_time = threading.Lock()  # a thread of a plugin's may log meanwhile

    def report(message: Event | ItemEnded) -> None:
        content = pickle.dumps(message)
        with one_at_a_time:
            pipe.send_bytes(content)

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        while True:
            content, error = pipe.recv_bytes(), None
            try:
                work, images = pickle.loads(content)
                take_images(work, images)
                if asked_to_stop():  # the item was sent before
                    raise Stopped("stopped before it began")
                if work.device.type == "cuda":
                    torch.cuda.set_device(work.device)  # for code that says no more than "cuda"
                work.perform(report)
            except Exception as raised:
                error = Carried.of(raised)
            report(ItemEnded(error))
