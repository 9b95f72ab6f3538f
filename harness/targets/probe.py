"""A model's answers to fixed images: they tell apart two models whose source and tensors are the same.

A user's code may read a file, the environment, or a plain attribute. So a model is identified by its source, by its
logits on fixed images, and by their gradient. If two models have equal logits, and one of them hides its gradient, they
are one function to a user, and two to an attack.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.plugin.network import Shape
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, generator, global_seed

IMAGES = 8  # of each of two kinds
PASSES = 8  # of a model whose first two passes differ
SAME = 1e-3  # of the gap from median to largest logit; another machine's rounding moves logits far less
NOISE = 6.0  # standard deviations of a mean over the passes
NOISIER = 6.0  # ratio that two estimates of one deviation from PASSES passes reach once in some ten thousand times
DIRECTIONS = 4  # along which an image's gradient is measured
SAME_GRADIENT = 0.05  # of its length: it moves far less if rounding switches a unit on or off

Probe = Mapping[str, Any]
"""In JSON types. For each image: ``logits``; and ``gradients``, the length of the input gradient and its slopes along
DIRECTIONS fixed directions. ``noise`` and ``gradient_noise``: the largest standard deviation of a value over passes.
"""


def probe(build: Callable[[], nn.Module], shape: Shape) -> Probe:
    """The answers of a freshly built model on the fixed images; their mean over several passes if passes differ.

    The global generators are seeded, so a model that draws from them draws the same each time. For a model that draws
    from elsewhere, or changes with each pass, ``noise`` says by how much its passes differ.
    """
    images = fixed_images(shape)
    cpu = torch.device("cpu")
    model = build()

    def answers() -> tuple[Tensor, Tensor]:
        with process_kept(), global_seed(cpu, derive_seed(0, "probe")), torch.no_grad(), arithmetic(cpu, "float32"):
            returned: Tensor = model(images.clone())
        with process_kept(), global_seed(cpu, derive_seed(0, "probe")), torch.enable_grad(), arithmetic(cpu, "float32"):
            slopes = _slopes(model, images)
        return returned.double(), slopes

    seen = [answers(), answers()]
    if any(not torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(*seen, strict=True)):
        seen += [answers() for _ in range(PASSES - 2)]
    logits, gradients = (torch.stack(list(each)) for each in zip(*seen, strict=True))
    return {
        "logits": _document(logits.mean(0)),
        "noise": _noise(logits),
        "gradients": _document(gradients.mean(0)),
        "gradient_noise": _noise(gradients),
    }


def _slopes(model: nn.Module, images: Tensor) -> Tensor:
    """``(n, 1 + DIRECTIONS)``: length and slopes of the input gradient of a fixed weighted sum of the logits."""
    x = images.clone().requires_grad_()
    with process_kept():
        logits: Tensor = model(x)
    draws = generator(torch.device("cpu"), 0, "probe", "gradient")
    weights = torch.randn(logits.shape, generator=draws)
    directions = torch.randn((DIRECTIONS, *images.shape[1:]), generator=draws)
    finite = torch.where(logits.isfinite(), logits, torch.zeros_like(logits))
    (gradient,) = torch.autograd.grad((weights * finite).sum(), x)
    flat = gradient.flatten(1).double()
    return torch.cat([flat.norm(dim=1, keepdim=True), flat @ directions.flatten(1).double().T], 1)


def _noise(passes: Tensor) -> float:
    return float(passes.std(0).nan_to_num().max()) if len(passes) > 2 else 0.0


def fixed_images(shape: Shape) -> Tensor:
    """``(2 IMAGES, channels, height, width)`` in [0, 1]: noise, and ramps of several brightnesses and directions."""
    size = (IMAGES, shape.channels, shape.height, shape.width)
    noise = torch.rand(size, generator=generator(torch.device("cpu"), 0, "probe"))
    down = torch.linspace(0, 1, shape.height)[:, None].expand(shape.height, shape.width)
    across = torch.linspace(0, 1, shape.width)[None, :].expand(shape.height, shape.width)
    ramps = [(down if i % 2 else across) * (i + 1) / IMAGES for i in range(IMAGES)]
    return torch.cat([noise, torch.stack(ramps)[:, None].expand(size)])


def same_function(one: Probe, other: Probe) -> bool:
    """Whether two probes come from one function, up to rounding on another machine and the models' random draws.

    Two logits agree if they differ by at most SAME of the gap between the image's median and largest logit; two
    gradients by at most SAME_GRADIENT of the longer one's length. If passes of the models differ, NOISE standard
    deviations of the difference of the means are allowed on top. If one model's logits vary NOISIER times as much as
    the other's, the two are different functions.
    """
    return (
        _as_noisy(one, other)
        and _agree(one, other, "logits", "noise", _spread)
        and _agree(one, other, "gradients", "gradient_noise", lambda row: SAME_GRADIENT / SAME * abs(row[0] or 0.0))
    )


def _as_noisy(one: Probe, other: Probe) -> bool:
    """Whether the logits of both models vary about equally over passes, up to rounding."""
    less, more = sorted((one["noise"], other["noise"]))
    rounding = SAME * max((_spread(row) for row in one["logits"]), default=0.0)
    return bool(more <= max(NOISIER * less, rounding))


def _agree(one: Probe, other: Probe, key: str, noise: str, scale: Callable[[list[float | None]], float]) -> bool:
    ours, theirs = one.get(key), other.get(key)  # an older probe may lack gradients
    if ours is None or theirs is None or [len(row) for row in ours] != [len(row) for row in theirs]:
        return False
    allowed = NOISE * math.sqrt((one[noise] ** 2 + other[noise] ** 2) / PASSES) + 1e-6
    for row, its in zip(ours, theirs, strict=True):
        pairs = [(a, b) for a, b in zip(row, its, strict=True) if a is not None or b is not None]
        limit = SAME * scale(row) + allowed
        if any(a is None or b is None or abs(a - b) > limit for a, b in pairs):
            return False  # they differ, or only one is finite
    return True


def _spread(logits: list[float | None]) -> float:
    """The gap between the median and the largest logit, which a masked class does not widen."""
    finite = [value for value in logits if value is not None]
    return max(finite) - statistics.median(finite) if finite else 0.0


def _document(rows: Tensor) -> list[list[float | None]]:
    """The rows to eight digits; None for values that are not finite, which JSON cannot hold."""
    return [[float(f"{value:.8g}") if math.isfinite(value) else None for value in row] for row in rows.tolist()]
