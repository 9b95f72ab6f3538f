"""Isolate a model under attack: each of its passes leaves the process's state as the attack had it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.runtime.model_faults import blaming_model
from harness.runtime.process import Process
from harness.runtime.seeds import derive_seed
from harness.runtime.streams import Streams


class Isolation:
    """The process state that is swapped around the passes of one model.

    During its passes the model has its own states of the global random generators, which continue from pass to pass.
    So a model that seeds a global generator cannot make the attack draw the same numbers again and again, and a model
    that draws stays random. After each pass, torch's modes, the filters of ``warnings``, and ``logging.disable`` are
    restored.

    Attributes:
        changed: names of the torch modes that a pass changed.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self.changed: set[str] = set()
        self._streams = Streams(device, derive_seed(seed, "model"))
        self._depth = 0  # a model may call itself
        self._in_gradient = False
        self._closed = False
        self._outside: Process | None = None  # during a pass, the state to restore after it

    def streams(self) -> Mapping[str, object]:
        """The model's generator states between two passes; a state changes if a pass draws from it, or seeds it."""
        return self._streams.held()

    def enter(self, *, backward: bool = False) -> None:
        """Begin a pass."""
        self._depth += 1
        if self._depth > 1 or self._closed:
            return
        self._outside = Process.now(backward=backward)
        self._streams.swap()

    def leave(self) -> None:
        """End a pass, normally or after an exception."""
        self._depth -= 1
        if self._depth == 0 and self._outside is not None:
            self._put_back()

    def close(self) -> None:
        """Isolate no further pass, and end a pass that has not ended."""
        self._closed = True
        if self._outside is not None:
            self._put_back()

    def _put_back(self) -> None:
        assert self._outside is not None
        self._streams.swap()
        self.changed.update(self._outside.put_back())
        self._outside = None

    def watch(self, outputs: object) -> None:
        """Isolate the backward pass through these outputs, too: a network that recomputes layers may draw there."""
        if isinstance(outputs, Tensor) and outputs.requires_grad and not self._closed:
            outputs.register_hook(lambda _gradient: self._gradient_begins())  # type: ignore[no-untyped-call]

    def _gradient_begins(self) -> None:
        if self._in_gradient or self._closed:
            return  # one backward pass may go through the outputs of several forward passes
        self._in_gradient = True
        self.enter(backward=True)
        # as DistributedDataParallel does: torch has no public hook for the end of a backward pass
        engine = cast(Any, torch.autograd.Variable)._execution_engine
        engine.queue_callback(self._gradient_ends)

    def _gradient_ends(self) -> None:
        self._in_gradient = False
        self.leave()


@contextlib.contextmanager
def isolated(model: nn.Module, device: torch.device, seed: int) -> Iterator[Isolation]:
    """Isolate each forward and backward pass of the model in the body.

    Hooks do this, so that the attack gets the model itself, not a wrapper that lacks its attributes.

    Args:
        seed: seeds the model's generator states, so that the figures of a model that draws are repeatable.
    Raises:
        ModelFault: a pass of a model from elsewhere raised an exception.
    """
    isolation = Isolation(device, seed)

    def begin(_model: nn.Module, _inputs: object) -> None:
        isolation.enter()

    def end(_model: nn.Module, _inputs: object, outputs: object) -> None:
        isolation.leave()
        isolation.watch(outputs)

    hooks = (model.register_forward_pre_hook(begin), model.register_forward_hook(end, always_call=True))
    try:
        with blaming_model():
            yield isolation
    finally:
        for hook in hooks:
            hook.remove()
        isolation.close()
