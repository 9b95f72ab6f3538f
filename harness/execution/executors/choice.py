"""Which executor suits the work."""

from __future__ import annotations

import torch

from harness.execution.executors.executor import Executor
from harness.execution.executors.in_process import InProcess
from harness.execution.executors.processes import Processes


def executor_for(items: int, workers: int, device: torch.device) -> Executor:
    """Several processes for several items on the CPU; else this process."""
    parallel = workers > 1 and items > 1 and device.type == "cpu"
    return Processes(workers) if parallel else InProcess()
