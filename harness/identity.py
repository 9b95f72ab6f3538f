"""When two things are the same: documents by the SHA-256 of their canonical JSON, tensors by their entries."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # which a command line without torch need not import
    from torch import Tensor


def canonical_json(document: Any) -> str:
    """One text for one meaning: sorted keys, no white space, floats by their shortest exact form."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(document: Any) -> str:
    """The SHA-256 of the canonical JSON of a document, in hexadecimal."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def same(one: Tensor, other: Tensor) -> bool:
    """Whether shape, type, device, and every entry of two tensors are equal; NaN is equal to NaN."""
    if (one.shape, one.dtype, one.device) != (other.shape, other.dtype, other.device):
        return False
    return one.equal(other) or bool(((one == other) | ((one != one) & (other != other))).all())
