"""What the worker processes of an executor have in common: how they start, and when they stop and end."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.execution.executors.carried import Carried, WorkerBug
from harness.runtime.stopping import ask_to_stop

# Ctrl-C in a terminal, and what a scheduler sends, goes to the whole group of processes; the parent decides
_GROUP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


@dataclass(frozen=True)
class ItemEnded:
    """A worker's last message about an item: no error, or the exception that ended it."""

    error: Carried | None


_FORKED = sys.platform == "linux"  # macOS' own libraries do not survive a fork
CONTEXT = multiprocessing.get_context("forkserver") if _FORKED else multiprocessing.get_context("spawn")
"""How workers are made: forked from a process that has imported what they need and has computed nothing.

So none of torch's threads has begun there, and these do not survive a fork.
"""


def prepare_workers() -> None:
    """Begin the process that workers are forked from: its imports take seconds, in which this one may go on.

    It ends with this process. Where nothing is forked, each worker imports for itself, and this does nothing.
    """
    if _FORKED:
        with _without_main(), _signals_held(), _own_path() as given:
            forkserver.set_forkserver_preload(["harness.execution.executors.warm"] if given else [])
            forkserver.ensure_running()


def _forget_parents() -> None:
    """In a fork of this process, such as a pool's: workers come from a process of its own, and not from its parent's.

    Python would wait for that one as for a child, and it is none.
    """
    parents: Any = forkserver._forkserver
    if parents._forkserver_pid is not None:
        os.close(parents._forkserver_alive_fd)
        parents.__init__()


if _FORKED:
    os.register_at_fork(after_in_child=_forget_parents)


@contextlib.contextmanager
def _own_path() -> Iterator[bool]:
    """Inside, a process of Python that begins looks for modules where this one does, and there alone.

    Python hands ``sys.path`` to a worker only once it is forked. What it is forked from would take modules from the
    working directory first, and ``harness`` from another place than this process: workers would compute with other
    code. Yields False where the path cannot be handed over; then each worker must import for itself.
    """
    path = [place or str(Path.cwd()) for place in sys.path if isinstance(place, str)]
    if sys.flags.ignore_environment or any(os.pathsep in place for place in path):
        yield False
        return
    own = {"PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield True
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def start_worker(serve: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a worker.

    Args:
        serve: what it does: a function of a module, which calls ``begin_worker`` first.
    """
    prepare_workers()
    process: BaseProcess = CONTEXT.Process(target=_as_this_one, args=(dict(os.environ), serve, *arguments), daemon=True)
    with _without_main(), _signals_held():
        process.start()
    return process


def _as_this_one(environment: dict[str, str], serve: Callable[..., None], *arguments: Any) -> None:
    """A worker's main function. Its environment may have been changed since the process began that it comes from."""
    os.environ.clear()
    os.environ.update(environment)
    serve(*arguments)


def begin_worker(stop: Any) -> None:
    """Begin a worker's life: it ends with its parent, and stops its work when the parent says so.

    Args:
        stop: the end of a pipe at which something arrives when the work is to stop.
    """
    for number in _GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _GROUP_SIGNALS)
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def mistake_of(carried: Carried | None) -> HarnessError | None:
    """The user's mistake that ended an item, if one did; a bug is raised."""
    if carried is None:
        return None
    error = carried.exception()
    if isinstance(error, HarnessError):
        return error
    raise error from WorkerBug(carried.trace)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Inside, a process that is started does not import the main module of this one.

    No worker needs it. A user's script that calls ``harness.run`` at its top level would run again in each worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Inside, signals to the whole group wait: a process that is started does not ignore them from its first moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # a process of Python's own; to start it later would let signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop_with_parent(stop: Any) -> None:
    """Stop the work of this process when the parent was asked to stop, or is gone."""
    stop.poll(None)
    ask_to_stop()


def _end_with_parent() -> None:
    """End this process when its parent is gone: nobody would get the results of its work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
