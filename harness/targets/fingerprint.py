"""What identifies a model: every parameter and buffer, and all else that decides its outputs."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Buffer

from harness.identity import canonical_json


def fingerprint(model: nn.Module, context: dict[str, Any]) -> str:
    """SHA-256 over the names, shapes, dtypes, and bytes of all parameters and buffers, and over a JSON document.

    Buffers that a state dict leaves out count, too.

    Args:
        model: on the CPU.
        context: what the tensors do not show: the network's name, its preprocessing, its source.
    """
    sha = hashlib.sha256(canonical_json(context).encode())
    named = itertools.chain(model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False))
    for name, tensor in sorted(named, key=lambda item: item[0]):
        sha.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        sha.update(_bytes(tensor))
    return sha.hexdigest()


def _bytes(tensor: Tensor) -> Buffer:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
