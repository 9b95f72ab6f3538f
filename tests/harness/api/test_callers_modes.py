"""The modes of torch that a caller in Python has set change no figure, and are as they were afterwards."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import harness
from tests.harness.api.live import make_scaled

MODES: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "float64": contextlib.nullcontext,
    "device": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": functools.partial(torch.autocast, "cpu"),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_callers_modes_change_no_figure_and_stay(mode: str) -> None:
    """Values that are normalised, too: the mean would have the default dtype."""
    x, y = torch.rand(12, 1, 8, 8), torch.randint(10, (12,))
    layers: dict[str, Any] = {"mean": (0.1,), "std": (0.3,)}
    ask = functools.partial(
        harness.evaluate, make_scaled(), x=x, y=y, epsilon=0.05, **layers, attacks=["pgd"], seeds=2, checks=False
    )
    expected = ask()
    try:
        with MODES[mode]():
            if mode == "float64":
                torch.set_default_dtype(torch.float64)
            if mode == "device":
                torch.set_default_device("meta")
            set_to = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()
            found = ask()
            after = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert found.document == expected.document
    np.testing.assert_array_equal(found.margins["pgd"], expected.margins["pgd"])
    assert after == set_to
