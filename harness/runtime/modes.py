"""Torch's modes: settings of the whole process, or of a thread, that change how torch computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch

_C = cast(Any, torch._C)  # ten times as fast as the public functions, since modes are read around every forward pass
_TINY = 5e-324  # the smallest positive number: a denormal one
_PRECISIONS = [(backend, part) for backend in ("cuda", "mkldnn") for part in ("all", "matmul", "conv", "rnn")]


class Mode(NamedTuple):
    """One mode.

    Attributes:
        of_thread: whether each thread has its own value. Such a mode is not compared around a backward pass, which may
            run in another thread.
    """

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]
    of_thread: bool = False


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
    _precision("generic", "all"),
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

    Attributes:
        read: the modes that were read: all, or around a backward pass those that are not of a thread, since torch
            itself sets some of a thread's modes there.
        values: their values, in the same order.
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
