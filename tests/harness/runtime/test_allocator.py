"""Freed memory is kept, so the next tensor of the same size needs no new pages. Tried in processes of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PAGES = """
import resource, torch
from harness.runtime.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(4_000_000)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20

print(faults(), keep_freed_memory(), torch.ones(4_000_000).numel() and faults())
"""


def _measured(**variables: str) -> tuple[float, bool, float]:
    free = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-W", "error", "-c", PAGES]
    told = subprocess.run(command, env=free | variables, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), told[1] == "True", float(told[2])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_tensor_of_sixteen_megabytes_needs_new_pages_only_before() -> None:
    before, done, after = _measured()
    assert done
    assert before > 100  # at least eight huge pages, or 3,906 small ones, for each tensor
    assert after < 1


def test_a_users_own_variables_are_left_alone() -> None:
    _, done, _ = _measured(MALLOC_TRIM_THRESHOLD_="131072")
    assert not done
