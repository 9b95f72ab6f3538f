"""What every worker imports. The process that workers are forked from imports this module, and computes nothing."""

from __future__ import annotations

import torch._dynamo  # torch's optimisers import it in their first step, in two seconds

from harness.execution import work

__all__ = ["torch", "work"]
