"""Every random draw comes from a generator derived from (seed, purpose): never from global state."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose; different purposes give unrelated streams (by SHA-256).

    Arguments enter with their types and lengths apart, so ("a", 12) and ("a1", 2) differ.
    """
    text = repr((seed, *purpose)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """A fresh generator on the device for one purpose."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *purpose))


@contextlib.contextmanager
def global_seed(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's global generators for code that knows no other (module initialisers, AutoAttack); then undo it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
