"""Processes that meet on the CPU, as those of one training do, and do what a test asks of all of them."""

from __future__ import annotations

import multiprocessing
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.training.together.peers import peers_met

_LONGEST_S = 60.0
FOUR = pytest.param("four", marks=pytest.mark.slow)  # the fixture of that name; two cores start it in ten seconds


class Group:
    """Processes that stay for several calls, since to start one takes seconds."""

    def __init__(self, pipes: list[Any]) -> None:
        self._pipes = pipes

    def call(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """What ``function(peers, *args)`` gives in each process, in their order; its exception in the first, raised."""
        for pipe in self._pipes:
            pipe.send((function, args))
        answers: dict[int, Any] = {}
        while len(answers) < len(self._pipes):
            left = [pipe for rank, pipe in enumerate(self._pipes) if rank not in answers]
            ready: list[Any] = wait(left, _LONGEST_S)
            assert ready, "the processes wait for each other"
            for pipe in ready:
                answer, failed = pipe.recv()
                assert failed is None, failed  # the others may wait for this process for ever: the group is of no use
                answers[self._pipes.index(pipe)] = answer
        return [answers[rank] for rank in range(len(self._pipes))]


@contextmanager
def group_of(count: int) -> Iterator[Group]:
    """So many processes."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        pairs = [context.Pipe() for _ in range(count)]
        processes = [
            context.Process(target=_serve, args=(Path(folder) / "meeting", rank, count, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pairs)
        ]
        for process in processes:
            process.start()
        try:
            yield Group([ours for ours, _ in pairs])
        finally:
            for process in processes:
                process.kill()
                process.join()


def _serve(meeting: Path, rank: int, count: int, pipe: Any) -> None:
    torch.set_num_threads(1)
    with peers_met(meeting, rank, count, torch.device("cpu")) as peers:
        while True:
            function, args = pipe.recv()
            try:
                pipe.send((function(peers, *args), None))
            except Exception:
                pipe.send((None, traceback.format_exc()))
