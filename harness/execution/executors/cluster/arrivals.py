"""What comes home from the workers of a cluster: this process writes it, if the command still holds the item."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.errors import HarnessError
from harness.events import BlockDone, Event, Examined, TrainingBegan
from harness.execution.executors.cluster.messages import FileMade, LogGrew
from harness.execution.log import LOG_FILE
from harness.execution.work import TrainWork, Work
from harness.files import always, atomic_write_bytes, is_plain_name
from harness.runtime.provenance import commit
from harness.training.state_file import STATE_FILE, put_state


def keep(work: Work, made: FileMade | LogGrew) -> None:
    """Write what a worker made to the item's folder.

    Raises:
        LeaseLost: another process has taken the item over; nothing is written.
        OSError: the file cannot be written.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    if isinstance(made, LogGrew):
        with (work.folder / LOG_FILE).open("ab") as log:
            log.write(made.content)
        return
    may_write = (work.guard if isinstance(work, TrainWork) else None) or always
    if made.name == STATE_FILE:
        put_state(work.folder, made.content, may_write)
    elif is_plain_name(made.name):
        atomic_write_bytes(work.folder / made.name, made.content, may_write)
    else:
        raise HarnessError(f"a worker sent a file called {made.name!r}: it is refused, since it is no file's name")


def with_commit(event: Event) -> Event:
    """An event whose provenance names the commit of the code that travelled; the worker knows no checkout."""
    if not isinstance(event, (TrainingBegan, BlockDone, Examined)):
        return event
    known: dict[str, Any] = {**commit(), **event.provenance}
    return replace(event, provenance=known)
