"""Save and restore state of the whole process that could change a figure unnoticed: torch's modes, and warnings.

A mode is a setting of the process, or of a thread, that changes how torch computes.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple, cast

import torch

_C = cast(Any, torch._C)  # ten times as fast as the public functions, since modes are read around every forward pass
_TINY = 5e-324  # the smallest positive number: a denormal one
_PRECISIONS = [("generic", "all"), *product(("cuda", "mkldnn"), ("all", "matmul", "conv", "rnn"))]


class Mode(NamedTuple):
    """One mode."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]
    of_thread: bool = False  # each thread has its own value, and a backward pass may run in another thread


def _default_device() -> torch.device | None:
    context = getattr(cast(Any, torch)._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else cast(torch.device, context.device)


def _matmul_precision() -> str | None:
    """Torch's float32 matmul precision; None where torch raises, because its backends have different precisions."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _put_matmul_precision(value: str | None) -> None:
    torch.set_float32_matmul_precision(value or "highest")  # torch's default; each backend's own precision is set next


def _precision(backend: str, part: str) -> Mode:
    get, put = _C._get_fp32_precision_getter, _C._set_fp32_precision_setter
    return Mode("torch's float32 precision", partial(get, backend, part), partial(put, backend, part))


def _nesting() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _put_nesting(value: int) -> None:
    while _nesting() > value:
        torch.autocast_decrement_nesting()
    while _nesting() < value:
        torch.autocast_increment_nesting()
    torch.clear_autocast_cache()


def _autocast(device: str) -> list[Mode]:
    functions: list[tuple[Callable[..., Any], Callable[..., object]]] = [
        (torch.is_autocast_enabled, torch.set_autocast_enabled),
        (torch.get_autocast_dtype, torch.set_autocast_dtype),
    ]
    return [Mode("torch's autocast", partial(get, device), partial(put, device), True) for get, put in functions]


MODES = (
    Mode("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled, True),
    Mode("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Mode("torch's default device", _default_device, torch.set_default_device, True),
    Mode("torch's number of threads", torch.get_num_threads, torch.set_num_threads, True),
    Mode("torch's deterministic mode", torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    Mode("torch's flushing of denormal numbers", lambda: _TINY * 1.0 == 0.0, torch.set_flush_denormal, True),
    Mode("cuDNN's benchmark mode", _C._get_cudnn_benchmark, _C._set_cudnn_benchmark),
    Mode("cuDNN's deterministic mode", _C._get_cudnn_deterministic, _C._set_cudnn_deterministic),
    Mode("torch's use of cuDNN", _C._get_cudnn_enabled, _C._set_cudnn_enabled),
    Mode("torch's use of oneDNN", _C._get_mkldnn_enabled, _C._set_mkldnn_enabled),
    # this first, since setting it sets several of those below
    Mode("torch's float32 precision", _matmul_precision, _put_matmul_precision),
    *(_precision(backend, part) for backend, part in _PRECISIONS),
    *_autocast("cpu"),
    *_autocast("cuda"),
    Mode("torch's autocast", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled, True),
    Mode("torch's autocast", _nesting, _put_nesting, True),
)
_IN_BACKWARD = tuple(mode for mode in MODES if not mode.of_thread)


@dataclass(frozen=True)
class Modes:
    """The values of the modes at one time, to be restored.

    Around a backward pass, those of a thread are not read, since torch itself sets some of them there.
    """

    read: tuple[Mode, ...]
    values: tuple[Any, ...]

    @classmethod
    def now(cls, *, backward: bool = False) -> Modes:
        """Read the modes; this takes some 15 microseconds."""
        read = _IN_BACKWARD if backward else MODES
        return cls(read, tuple([mode.get() for mode in read]))

    def put_back(self) -> Mapping[str, Any]:
        """Restore the modes that have changed; returns name -> the value that it had been changed to."""
        values = tuple([mode.get() for mode in self.read])
        if values == self.values:
            return {}
        pairs = zip(self.read, values, self.values, strict=True)
        changed = {mode.name: value for mode, value, before in reversed(list(pairs)) if value != before}
        for mode, before in zip(self.read, self.values, strict=True):
            if mode.get() != before:
                mode.put(before)
        return changed


@dataclass(frozen=True)
class Process:
    """Torch's modes, ``logging.disable``, and the filters of ``warnings`` at one time.

    A filter or ``logging.disable`` could silence AutoAttack's warnings, from which the checks of rigour raise flags.
    """

    modes: Modes
    disabled: int
    filters: list[Any]

    @classmethod
    def now(cls, *, backward: bool = False) -> Process:
        """Read the state."""
        return cls(Modes.now(backward=backward), logging.root.manager.disable, [*warnings.filters])

    def put_back(self) -> Mapping[str, Any]:
        """Restore the state; returns each torch mode that had changed -> the value it had been changed to."""
        logging.root.manager.disable = self.disabled
        if warnings.filters != self.filters:
            cast(list[Any], warnings.filters)[:] = self.filters
        return self.modes.put_back()


@contextlib.contextmanager
def process_kept() -> Iterator[Mapping[str, Any]]:
    """Restore torch's modes, the filters of ``warnings``, and ``logging.disable`` after the body.

    Yields a mapping that is filled afterwards: each torch mode that the body changed -> the value it was changed to.
    """
    changed: dict[str, Any] = {}
    before = Process.now()
    try:
        yield changed
    finally:
        changed.update(before.put_back())


@contextlib.contextmanager
def as_in_a_new_process() -> Iterator[None]:
    """Run the body with torch's own defaults where a caller in Python may have others, and restore these afterwards.

    These are the default dtype and device, and the modes in which no gradient is kept: under another default dtype,
    networks and random images would be float64.
    """
    with process_kept(), torch.inference_mode(False):
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        if _default_device() is not None:
            torch.set_default_device(None)
        yield
