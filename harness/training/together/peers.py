"""The processes that train one network together, and what they tell each other."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from harness.runtime.stopping import asked_to_stop
from harness.training.together.shares import Share, share_of

# Nobody waits so long for a process that has ended: who started the processes ends the others. The first one may take
# hours over a recording, while the others wait.
_LONGEST_WAIT = timedelta(days=7)
_INTERFACE = "GLOO_SOCKET_IFNAME"


@dataclass(frozen=True)
class Peers:
    """The place of this process among those that train one network. The first one writes and reports for all."""

    rank: int = 0
    count: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.count == 1

    @property
    def first(self) -> bool:
        """Whether this process writes the files, and reports."""
        return self.rank == 0

    def share(self, whole: int) -> Share:
        """The rows of a batch that this process passes through the network."""
        return share_of(whole, self.rank, self.count)

    def gathered(self, own: Tensor) -> list[Tensor]:
        """The tensors of all processes, in their order; all have the shape and the type of this one's."""
        flat = own.detach().contiguous().reshape(-1).view(torch.uint8)  # of bytes, so that every type can be sent
        all_of_them = [torch.empty_like(flat) for _ in range(self.count)]
        dist.all_gather(all_of_them, flat)
        return [each.view(own.dtype).reshape(own.shape) for each in all_of_them]

    def total(self, own: Tensor) -> Tensor:
        """The sum of the tensors of all processes; it is the same in each, to the last bit."""
        total = own.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    def asked_to_stop(self) -> bool:
        """Whether somebody asked the first process to stop: all of them stop after the same update.

        It is told from CPU to CPU, so that no process waits for its device.
        """
        if self.alone:
            return asked_to_stop()
        asked = torch.tensor([asked_to_stop()], dtype=torch.uint8)
        dist.broadcast(asked, 0)
        return bool(asked)


ALONE = Peers()


@contextlib.contextmanager
def peers_met(meeting: Path, rank: int, count: int, device: torch.device) -> Iterator[Peers]:
    """Meet the other processes, all on this machine.

    Tensors on a CUDA device go from device to device by NCCL, those on the CPU by gloo.

    Args:
        meeting: a file that does not exist before the first comes, in a folder that nobody else can write to.
    """
    if _INTERFACE not in os.environ:  # else gloo looks for the machine's name in the network
        own = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
        os.environ.update({_INTERFACE: own[0]} if own else {})
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    store = dist.FileStore(str(meeting), count)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_LONGEST_WAIT)
    try:
        yield Peers(rank, count)
    finally:
        dist.destroy_process_group()
