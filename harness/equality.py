"""When two tensors are the same."""

from __future__ import annotations

import torch
from torch import Tensor


def same(one: Tensor, other: Tensor) -> bool:
    """Whether shape, type, device, and every entry are equal; NaN is equal to NaN."""
    if (one.shape, one.dtype, one.device) != (other.shape, other.dtype, other.device):
        return False
    return torch.equal(one, other) or bool(((one == other) | ((one != one) & (other != other))).all())
