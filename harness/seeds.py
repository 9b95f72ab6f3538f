"""Every random draw comes from a generator derived from (seed, purpose): never from global state."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np
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
    """Seed the global generators for code that knows no others, and put them back afterwards.

    Those of torch (module initialisers, dropout, AutoAttack), of numpy, and of Python.
    """
    devices = [device] if device.type == "cuda" else []
    pythons, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(pythons)
            np.random.set_state(numpys)
