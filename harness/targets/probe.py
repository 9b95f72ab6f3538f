"""What a model answers to fixed images: it tells two functions apart that source and tensors do not.

A user's code may read a file, the environment, or a plain attribute. So beside the source a model is identified by
its logits on images that are always the same.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.device import arithmetic
from harness.network import Shape
from harness.seeds import derive_seed, generator, global_seed

IMAGES = 8  # of each of two kinds
PASSES = 8  # of a model whose first two passes differ
SAME = 1e-3  # of the largest logit above the median one: far beyond what another machine's rounding moves
NOISE = 6.0  # standard deviations of a mean over the passes

Probe = Mapping[str, Any]
"""In JSON types: ``logits``, a list for each image; ``noise``, the largest standard deviation over passes."""


def probe(build: Callable[[], nn.Module], shape: Shape) -> Probe:
    """The logits of a freshly built model on the fixed images, a mean over some passes where passes differ.

    A model that draws from a global generator draws the same each time, since these are seeded; for one that draws
    from elsewhere, or that changes by being asked, ``noise`` says by how much its passes differ.
    """
    images = fixed_images(shape)
    cpu = torch.device("cpu")
    model = build()

    def answers() -> Tensor:
        with global_seed(cpu, derive_seed(0, "probe")), torch.no_grad(), arithmetic(cpu, "float32"):
            returned: Tensor = model(images.clone())
        return returned.double()

    seen = [answers(), answers()]
    if not torch.equal(seen[0].nan_to_num(), seen[1].nan_to_num()):
        seen += [answers() for _ in range(PASSES - 2)]
    together = torch.stack(seen)
    noise = float(together.std(0).nan_to_num().max()) if len(seen) > 2 else 0.0
    logits = [[_plain(value) for value in row] for row in together.mean(0).tolist()]
    return {"logits": logits, "noise": noise}


def fixed_images(shape: Shape) -> Tensor:
    """``(2 IMAGES, channels, height, width)`` in [0, 1]: noise, and ramps of several brightnesses and directions."""
    size = (IMAGES, shape.channels, shape.height, shape.width)
    noise = torch.rand(size, generator=generator(torch.device("cpu"), 0, "probe"))
    down = torch.linspace(0, 1, shape.height)[:, None].expand(shape.height, shape.width)
    across = torch.linspace(0, 1, shape.width)[None, :].expand(shape.height, shape.width)
    ramps = [(down if i % 2 else across) * (i + 1) / IMAGES for i in range(IMAGES)]
    return torch.cat([noise, torch.stack(ramps)[:, None].expand(size)])


def same_function(one: Probe, other: Probe) -> bool:
    """Whether two probes are of one function, as far as rounding on another machine and the models' draws allow.

    Two logits agree where they differ by at most SAME of what lies between the image's median and largest logit; for
    models whose passes differ, by NOISE standard deviations of the difference of the means more.
    """
    if [len(row) for row in one["logits"]] != [len(row) for row in other["logits"]]:
        return False
    noise = NOISE * math.sqrt((one["noise"] ** 2 + other["noise"] ** 2) / PASSES)
    for ours, theirs in zip(one["logits"], other["logits"], strict=True):
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
        if len(pairs) < sum(a is not None or b is not None for a, b in zip(ours, theirs, strict=True)):
            return False  # one is finite where the other is not
        finite = [a for a, _ in pairs]
        scale = max(finite) - statistics.median(finite) if finite else 0.0  # a masked class must not widen it
        if any(abs(a - b) > SAME * scale + noise + 1e-6 for a, b in pairs):
            return False
    return True


def _plain(value: float) -> float | None:
    """Eight digits; None for what is not finite, which JSON cannot hold."""
    return float(f"{value:.8g}") if math.isfinite(value) else None
