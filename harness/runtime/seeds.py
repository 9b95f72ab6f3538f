"""Seeds and generators. Every random draw comes from a generator derived from (seed, purpose), never a global one."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch

from harness.runtime.streams import Streams


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, by SHA-256: different purposes give unrelated random numbers.

    The parts of the purpose are hashed with their types and separated, so ("a", 12) and ("a1", 2) differ.
    """
    text = repr((seed, *purpose)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """A new generator on the device for one purpose."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *purpose))


@contextlib.contextmanager
def global_seed(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the global generators for code that uses no others (module initialisers, AutoAttack), then restore them.

    The generators are torch's on the CPU and on the device, numpy's, and Python's.
    """
    streams = Streams(device, seed)
    streams.swap()
    try:
        yield
    finally:
        streams.swap()
