"""The device and the arithmetic of a computation."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from harness.errors import SettingError
from harness.runtime.precision import Precision

LARGE_NETWORK = 1_000_000  # parameters; for a smaller network a second CPU thread costs more than it gives


def training_threads(parameters: int, device: torch.device, processes: int = 1) -> int:
    """CPU threads of a training's process. The network and the machine decide, whatever other work there is.

    Args:
        parameters: of the network, their number.
        processes: that do the training together, and share the cores.
    """
    if parameters < LARGE_NETWORK or device.type != "cpu":
        return 1
    return max(1, (os.cpu_count() or 1) // processes)


def resolve_device(name: str | None, option: str = "--device", *, elsewhere: bool = False) -> torch.device:
    """The device of that name; for None, CUDA if this machine has it, else the CPU.

    Args:
        option: what named it.
        elsewhere: the work is done on other machines, so this one need not have the device.

    Raises:
        SettingError: the name is not a device, or this machine lacks the device.
    """
    if name is None:
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingError(f"{option} {name} is not a device; write cpu, cuda, or cuda:0") from None
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise SettingError(f"{option} {name} is not supported; write cpu, cuda, or cuda:0")
    count = torch.cuda.device_count()
    index = device.index or 0
    if index >= count and not elsewhere:
        have = f"it has {count} CUDA device(s)" if count else "it has no CUDA device that torch can use"
        raise SettingError(f"{option} {name} is not on this machine: {have}; leave {option} out, or write --device cpu")
    return torch.device("cuda", index)


def present(device: torch.device) -> torch.device:
    """The device if this machine has it; else the CPU, for trials of what other machines will do."""
    return device if device.type == "cpu" or torch.cuda.is_available() else torch.device("cpu")


def devices_from(device: torch.device, number: int) -> tuple[torch.device, ...]:
    """So many devices, from this one on; on the CPU, it stands for each process.

    Raises:
        SettingError: this machine has fewer.
    """
    if device.type == "cpu" or number == 1:
        return (device,) * number
    first, count = device.index or 0, torch.cuda.device_count()
    if first + number > count:
        beginning = f" from cuda:{first} on" if first else ""
        raise SettingError(
            f"--devices-per-run {number} is refused: this machine has {count - first} CUDA device(s){beginning}; ask"
            " for as many, or for fewer"
        )
    return tuple(torch.device("cuda", first + rank) for rank in range(number))


def device_label(device: torch.device) -> str:
    """The device's product name, for provenance; ``cuda`` for a device of another machine."""
    if device.type == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name(device)
    return device.type


@contextlib.contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Run the body in the given precision, then restore the settings from before.

    ``float32`` switches TF32 off, which cuDNN would use for convolutions by default. ``tf32`` switches it on.
    ``bfloat16`` runs under autocast, with float32 weights.

    Raises:
        SettingError: TF32 is asked for on another device than CUDA.
    """
    if precision == "tf32" and device.type != "cuda":
        raise SettingError("precision=tf32 needs a CUDA device; choose float32 or bfloat16, or another --device")
    parts = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    kind, reduced = device.type, precision == "bfloat16"
    autocast = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind), torch.is_autocast_cache_enabled()
    # Set autocast's flags without its context manager, and without its cache: the cache keeps the weights as first cast
    # until the outermost context ends. A whole training is one such context, even if the network opens inner ones.
    _set_autocast(kind, reduced, torch.bfloat16, autocast[2] and not reduced)
    try:
        yield
    finally:
        _set_autocast(kind, *autocast)
        for part, setting in zip(parts, before, strict=True):
            part.fp32_precision = setting


def _set_autocast(kind: str, enabled: bool, dtype: torch.dtype, cache: bool) -> None:
    torch.set_autocast_enabled(kind, enabled)
    torch.set_autocast_dtype(kind, dtype)
    torch.set_autocast_cache_enabled(cache)
