"""Weights that are the same for ever, so that the logits of another implementation may be kept."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn


def fill(model: nn.Module, random: np.random.RandomState) -> None:
    """Give every parameter and statistic a value of NumPy's legacy stream, which is frozen for good (NEP 19)."""
    for name, tensor in model.state_dict().items():
        values = random.uniform(-1, 1, size=tuple(tensor.shape))
        if tensor.ndim > 1:
            values *= math.sqrt(6 / tensor[0].numel())  # keeps the scale of activations from layer to layer
        elif name.endswith(("weight", "running_var")):
            values = 1 + values / 2
        tensor.copy_(torch.from_numpy(np.asarray(values)))
