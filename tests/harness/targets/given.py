"""The small network's tensors and answers, with a normalisation in front of it or without."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.harness.targets.conftest import pixels, trained

MEAN, STD = 0.3, 0.4


def state(prefix: str = "", seed: int = 0) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in trained(seed=seed).state_dict().items()}


def expected(*, normalised: bool = False, seed: int = 0) -> Tensor:
    with torch.no_grad():
        x = (pixels() - MEAN) / STD if normalised else pixels()
        result: Tensor = trained(seed=seed)(x)
    return result
