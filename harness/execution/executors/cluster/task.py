"""What a worker of a cluster does with an item: performs it, and says what happens, in a stream of messages."""

from __future__ import annotations

import errno
import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from harness.errors import HarnessError, Stopped
from harness.execution.executors.carried import Carried
from harness.execution.executors.child import ItemEnded
from harness.execution.executors.cluster.courier import Courier
from harness.execution.executors.cluster.messages import Message
from harness.execution.executors.cluster.parcel import Parcel
from harness.execution.executors.cluster.software import refuse_other_software
from harness.execution.executors.cluster.stop import follow
from harness.execution.executors.cluster.unpacked import forget_command, unpacked
from harness.runtime.provenance import host
from harness.runtime.stopping import asked_to_stop

_OF_A_MACHINE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS),
    *(errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE),
}
_GATHERED_S = 2.0  # messages of so long travel together: each journey takes milliseconds at both of its ends

# One thread for all items, since the threads of OpenMP belong to the thread that began them. The main thread hands on
# what it says, as only a task itself may add to its stream.
_performing = ThreadPoolExecutor(1, "item")


def performed(parcel: Parcel) -> Iterator[list[Message]]:
    """Perform an item. The last message is an ``ItemEnded``."""
    said: queue.SimpleQueue[Message] = queue.SimpleQueue()
    _performing.submit(_perform, parcel, said)
    sent = 0.0
    while True:
        messages = [said.get()]
        while not isinstance(messages[-1], ItemEnded):
            try:
                messages.append(said.get(timeout=max(0.0, sent + _GATHERED_S - time.monotonic())))
            except queue.Empty:
                break
        sent = time.monotonic()
        yield messages
        if isinstance(messages[-1], ItemEnded):
            return


def _of_this_machine(raised: BaseException) -> BaseException:
    """An exception that names the machine, if it is of the machine: a full disk, a folder that may not be written."""
    if not isinstance(raised, OSError) or raised.errno not in _OF_A_MACHINE:
        return raised
    told = HarnessError(
        f"the worker on {host()} cannot read or write {raised.filename or 'a file'}: {raised.strerror}; see to that"
        " machine, or take it out of the cluster, then run the same command again: what came home is kept"
    )
    told.__cause__ = raised
    return told


def _perform(parcel: Parcel, said: queue.SimpleQueue[Message]) -> None:
    import ray

    error: Carried | None = None
    courier = None
    try:
        refuse_other_software(parcel.software, mixed=parcel.mixed)
        if follow(parcel.command, parcel.sign):
            forget_command()
        with unpacked(parcel, ray.get) as work:
            courier = Courier(work.folder, parcel.work.folder, said.put)
            if asked_to_stop():
                raise Stopped("stopped before it began")
            if work.device.type == "cuda":
                torch.cuda.set_device(work.device)  # for code that says no more than "cuda"
            try:
                work.perform(courier.report)
            finally:
                courier.look()
    except BaseException as raised:  # a thread's exception would reach nobody
        if courier is not None and isinstance(raised, HarnessError):
            courier.tell_of_home(raised)
        error = Carried.of(_of_this_machine(raised))
    said.put(ItemEnded(error))
