"""Torch's deterministic algorithms on a CUDA device: a stopped training then goes on to the last bit there, too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from harness.errors import HarnessError, SettingError, one_line
from harness.runtime.process import process_kept

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")  # with which cuBLAS sums in one order
_ABOUT_IT = "use_deterministic_algorithms"  # is in each error that torch raises where it cannot


def prepare_determinism(device: torch.device) -> None:
    """Set the variable that cuBLAS reads at its first use in the process; nothing is done on the CPU.

    Raises:
        SettingError: the user has set it to a value with which cuBLAS is not deterministic.
    """
    if device.type == "cuda" and os.environ.setdefault(WORKSPACE, _WORKSPACES[0]) not in _WORKSPACES:
        value = os.environ[WORKSPACE]
        raise SettingError(
            f"--deterministic is refused with {WORKSPACE}={value}, with which cuBLAS is not deterministic; set it to"
            f" {_WORKSPACES[0]}, or leave it out"
        )


@contextlib.contextmanager
def deterministic(device: torch.device, *, wanted: bool) -> Iterator[None]:
    """Use deterministic algorithms in the body, if wanted. On the CPU nothing changes: its algorithms are those anyway.

    Raises:
        SettingError: torch has no deterministic algorithm for something in the body.
    """
    if not wanted or device.type != "cuda":
        yield
        return
    prepare_determinism(device)
    with process_kept():
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False  # it takes what was fastest at the moment
        try:
            yield
        except (RuntimeError, HarnessError) as error:
            problem = error if isinstance(error, RuntimeError) else error.__cause__
            if problem is None or _ABOUT_IT not in str(problem):
                raise
            raise SettingError(
                f"--deterministic is refused: {one_line(problem)}; leave it out, or, if CUDA was in use before in this"
                f" process, set {WORKSPACE}={_WORKSPACES[0]} before Python starts"
            ) from error
