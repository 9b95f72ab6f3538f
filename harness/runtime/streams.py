"""Private states for the random generators that a whole process shares: torch's, numpy's, and Python's."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import torch
from numpy.random import mtrand


class Streams:
    """One state for each global generator. ``swap`` exchanges them with the states in use; a second swap undoes it.

    A swap takes some 15 microseconds, so that every forward pass can afford two. Numpy's generator object is exchanged
    instead of its state: copying the state would take three times as long as everything else here.

    Args:
        device: a CUDA device's global generator is included.
        seed: seeds each state, by the library's own seeding.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self._cuda = _cuda_generator(device)
        self._torch_state = torch.Generator().manual_seed(seed).get_state()
        self._cuda_state = torch.Generator(device).manual_seed(seed).get_state() if self._cuda is not None else None
        self._numpy: np.random.BitGenerator = np.random.MT19937(seed)
        self._python_state = random.Random(seed).getstate()

    def swap(self) -> None:
        """Exchange these states with those in use. Numpy loses the second normal number that it may have stored."""
        state = torch.default_generator.get_state()
        torch.default_generator.set_state(self._torch_state)
        self._torch_state = state
        if self._cuda is not None and self._cuda_state is not None:
            state = self._cuda.get_state()
            self._cuda.set_state(self._cuda_state)
            self._cuda_state = state
        generator = mtrand.get_bit_generator()
        mtrand.set_bit_generator(self._numpy)
        self._numpy = generator
        python = random.getstate()
        random.setstate(self._python_state)
        self._python_state = python

    def held(self) -> Mapping[str, object]:
        """The states that are not in use, by library; for comparison alone."""
        held: dict[str, object] = {"torch's": self._torch_state.numpy().tobytes()}
        if self._cuda_state is not None:
            held["torch's CUDA"] = self._cuda_state.numpy().tobytes()
        return held | {"numpy's": repr(self._numpy.state), "Python's": self._python_state}


def _cuda_generator(device: torch.device) -> torch.Generator | None:
    if device.type != "cuda":
        return None
    torch.cuda.init()  # type: ignore[no-untyped-call]
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]
