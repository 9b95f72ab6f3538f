"""A model under attack, so isolated that its passes leave the process as the attack had it."""

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
    """What is exchanged around the passes of one model.

    The model draws from streams of its own: they are in place during its passes alone, and go on from pass to pass.
    So a model that seeds a global generator cannot make an attack draw the same numbers for ever, and one that draws
    stays random. Torch's modes, warnings' filters, and ``logging.disable`` are put back.

    Attributes:
        changed: those of torch's modes that a pass changed.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self.changed: set[str] = set()
        self._streams = Streams(device, derive_seed(seed, "model"))
        self._depth = 0  # a model may call itself
        self._in_gradient = False
        self._closed = False
        self._outside: Process | None = None  # while a pass runs, what it must leave as it was

    def streams(self) -> Mapping[str, object]:
        """The states of the model's streams between two passes: one that a pass drew from, or set, differs then."""
        return self._streams.held()

    def enter(self, *, backward: bool = False) -> None:
        """A pass begins."""
        self._depth += 1
        if self._depth > 1 or self._closed:
            return
        self._outside = Process.now(backward=backward)
        self._streams.swap()

    def leave(self) -> None:
        """A pass ends, perhaps by an exception."""
        self._depth -= 1
        if self._depth == 0 and self._outside is not None:
            self._put_back()

    def close(self) -> None:
        """No pass of the model is isolated from now on; one that never ended, ends."""
        self._closed = True
        if self._outside is not None:
            self._put_back()

    def _put_back(self) -> None:
        assert self._outside is not None
        self._streams.swap()
        self.changed.update(self._outside.put_back())
        self._outside = None

    def watch(self, outputs: object) -> None:
        """Isolate the backward pass through these outputs, too: a network may draw there, as where it recomputes."""
        if isinstance(outputs, Tensor) and outputs.requires_grad and not self._closed:
            outputs.register_hook(lambda _gradient: self._gradient_begins())  # type: ignore[no-untyped-call]

    def _gradient_begins(self) -> None:
        if self._in_gradient or self._closed:
            return  # several passes have one backward pass together
        self._in_gradient = True
        self.enter(backward=True)
        # what DistributedDataParallel does: torch has no public word for the end of a backward pass
        engine = cast(Any, torch.autograd.Variable)._execution_engine
        engine.queue_callback(self._gradient_ends)

    def _gradient_ends(self) -> None:
        self._in_gradient = False
        self.leave()


@contextlib.contextmanager
def isolated(model: nn.Module, device: torch.device, seed: int) -> Iterator[Isolation]:
    """Isolate each pass of the model, forward and backward, inside.

    It is done by hooks, so that the attack gets the model itself, whatever it asks of it.

    Args:
        seed: what the model's streams start from, so that the figures of a model that draws are repeatable.
    Raises:
        ModelFault: a pass of a model from elsewhere raised.
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
