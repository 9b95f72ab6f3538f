"""Seeds and generators. Every random draw comes from a generator derived from (seed, purpose), never a global one."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.random import mtrand


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


class Streams:
    """A private state for each generator that the whole process shares: torch's, numpy's, and Python's.

    ``swap`` exchanges these states with those in use; a second swap undoes it.

    A swap takes some 15 microseconds, so that every forward pass can afford two. Numpy's generator object is exchanged
    instead of its state: copying the state would take three times as long as everything else here.

    Args:
        device: a CUDA device's global generator is included.
        seed: seeds each state, by the library's own seeding.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self._torchs = _shared_generators(device)
        self._states = {n: torch.Generator(g.device).manual_seed(seed).get_state() for n, g in self._torchs.items()}
        self._numpy: np.random.BitGenerator = np.random.MT19937(seed)
        self._python_state = random.Random(seed).getstate()

    def swap(self) -> None:
        """Exchange these states with those in use. Numpy loses the second normal number that it may have stored."""
        for name, generator in self._torchs.items():
            state = generator.get_state()
            generator.set_state(self._states[name])
            self._states[name] = state
        bits = mtrand.get_bit_generator()
        mtrand.set_bit_generator(self._numpy)
        self._numpy = bits
        python = random.getstate()
        random.setstate(self._python_state)
        self._python_state = python

    def held(self) -> Mapping[str, object]:
        """The states that are not in use, by library; for comparison alone."""
        torchs = {name: state.numpy().tobytes() for name, state in self._states.items()}
        numpys = self._numpy.state["state"]  # its repr would take a hundred times as long, and may leave numbers out
        numpys = numpys["key"].tobytes(), numpys["pos"]
        return {**torchs, "numpy's": numpys, "Python's": self._python_state}


def _cuda_generator(device: torch.device) -> dict[str, torch.Generator]:
    """The global generator of a CUDA device; empty for the CPU."""
    if device.type != "cuda":
        return {}
    torch.cuda.init()  # type: ignore[no-untyped-call]
    index = torch.cuda.current_device() if device.index is None else device.index
    return {"torch's CUDA": torch.cuda.default_generators[index]}


def global_states(device: torch.device) -> dict[str, Any]:
    """The states of the generators that the whole process shares, as a saved state can hold them; nothing is drawn."""
    numpys = np.random.get_state(legacy=False)
    numpys["state"]["key"] = numpys["state"]["key"].tolist()
    torchs = {name: shared.get_state() for name, shared in _shared_generators(device).items()}
    return {"torch": torchs, "numpy": numpys, "python": random.getstate()}


def put_global_states(device: torch.device, states: Mapping[str, Any]) -> None:
    """Put the generators that the whole process shares into the states that ``global_states`` gave."""
    for name, shared in _shared_generators(device).items():
        shared.set_state(states["torch"][name].cpu())
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])


def _shared_generators(device: torch.device) -> dict[str, torch.Generator]:
    return {"torch's": torch.default_generator, **_cuda_generator(device)}
