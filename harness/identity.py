"""When two documents or two tensors are the same: by the SHA-256 of canonical JSON, or entry by entry."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # most commands must not import torch
    from torch import Tensor


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)  # to make one takes as long


def canonical_json(document: Any) -> str:
    """Equal documents give equal text: sorted keys, no white space, floats in their shortest exact form."""
    return _ENCODER.encode(document)


def digest(document: Any) -> str:
    """The SHA-256 of the canonical JSON of a document, in hexadecimal."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def same(one: Tensor, other: Tensor) -> bool:
    """Whether shape, type, device, and every entry of two tensors are equal; NaN is equal to NaN."""
    if (one.shape, one.dtype, one.device) != (other.shape, other.dtype, other.device):
        return False
    return one.equal(other) or bool(((one == other) | ((one != one) & (other != other))).all())
