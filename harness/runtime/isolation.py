"""Isolate a model under attack: each of its passes leaves the process's state as the attack had it.

Its exceptions are told from those of the attack that asked for the pass.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torch.autograd.graph
from torch import Tensor, nn

from harness.errors import ModelFault, one_line
from harness.runtime.process import Process
from harness.runtime.seeds import Streams, derive_seed

_TORCH = Path(torch.__file__).parent
_BACKWARD = Path(torch.autograd.graph.__file__)  # the file that starts torch's backward pass
_OURS = Path(__file__).parents[1]


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
        if self._depth == 1 and not self._closed:
            self._outside = Process.now(backward=backward)
            self._streams.swap()

    def leave(self) -> None:
        """End a pass, normally or after an exception."""
        self._depth -= 1
        if self._depth == 0:
            self._put_back()

    def close(self) -> None:
        """Isolate no further pass, and end a pass that has not ended."""
        self._closed = True
        self._put_back()

    @contextlib.contextmanager
    def left_out(self) -> Iterator[None]:
        """Isolate no pass in the body: for a model that was seen to leave the process's state alone."""
        self._closed = True
        try:
            yield
        finally:
            self._closed = False

    def _put_back(self) -> None:
        if self._outside is not None:
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


@contextlib.contextmanager
def blaming_model() -> Iterator[None]:
    """Turn an exception of a model's backward pass into a ModelFault, and log the traceback of every ModelFault.

    An exception in the forward pass of a model from elsewhere is a ModelFault already (``harness.targets.prepared``).
    Any other exception belongs to the attack, or is a bug of this program, and passes through.
    """
    log = logging.getLogger("harness.targets")
    try:
        yield
    except ModelFault:
        log.exception("raised by the model")
        raise
    except (Exception, SystemExit) as error:
        if not _in_backward(error):
            raise
        log.exception("raised by the model")
        raise ModelFault(f"raised an exception in a backward pass ({one_line(error)})") from error


def _in_backward(error: BaseException) -> bool:
    """Whether an exception comes from the model's backward pass.

    It does if torch's backward pass was running code in it that belongs neither to harness nor to the caller of the
    pass. If no Python code was running in it, torch refused the graph. The model is at fault then if the attack ships,
    since such an attack adds nothing unusual to the graph; any other attack may be at fault itself.
    """
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    if _BACKWARD not in files:
        return False
    start = files.index(_BACKWARD)
    above, below = ([file for file in part if _TORCH not in file.parents] for part in (files[:start], files[start:]))
    if any(_ours(file) for file in below):
        return False
    return below[-1] not in above if below else all(map(_ours, above))


def _ours(file: Path) -> bool:
    return "pyautoattack" in file.parts or _OURS in file.parents
