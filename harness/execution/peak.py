"""What arithmetic costs: the device's measured peak, and the floating-point operations of a network's passes."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.execution.stopwatch import Clock
from harness.plugin.attack import Passes
from harness.runtime.device import arithmetic
from harness.runtime.precision import Precision
from harness.runtime.seeds import generator

MOST_REPEATS = 20
_PRODUCT = {"cpu": 1024, "cuda": 8192}  # rows and columns of the matrices
_CONVOLVED = {"cpu": 4, "cuda": 512}  # images of 256 channels and 32x32 pixels


@dataclass(frozen=True)
class Peak:
    """The most floating-point operations a second that this device was seen to do, in a precision."""

    convolution: float
    product: float

    @property
    def best(self) -> float:
        """The greater of the two."""
        return max(self.convolution, self.product)


def measure_peak(device: torch.device, precision: Precision, seconds: float, clock: Clock = time.perf_counter) -> Peak:
    """Time a large 3x3 convolution and a large matrix product; the fastest of some repeats counts.

    Args:
        seconds: how long to measure, about.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    side, images = _PRODUCT[device.type], _CONVOLVED[device.type]

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws, device=device, dtype=dtype)

    draws = generator(device, 0, "bench")
    one, other = random(side, side), random(side, side)
    x, weight = (t.to(memory_format=torch.channels_last) for t in (random(images, 256, 32, 32), random(256, 256, 3, 3)))
    with arithmetic(device, precision), torch.no_grad():
        convolution = _fastest(lambda: F.conv2d(x, weight, padding=1), device, seconds / 2, clock)
        product = _fastest(lambda: one @ other, device, seconds / 2, clock)
    return Peak(2 * 9 * 256 * 256 * 32 * 32 * images / convolution, 2 * side**3 / product)


def _fastest(compute: Callable[[], Tensor], device: torch.device, seconds: float, clock: Clock) -> float:
    """The least seconds of one computation, over repeats; the first call, which prepares, does not count."""

    def timed() -> float:
        start = clock()
        compute()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - start

    spent, times = timed(), [timed()]
    while len(times) < MOST_REPEATS and spent + sum(times) < seconds:
        times.append(timed())
    return max(min(times), 1e-9)


@dataclass(frozen=True)
class Arithmetic:
    """Floating-point operations of one image's passes; a multiplication and an addition are two.

    They are those of the network's own layers, whatever computes them: a faster way to the same result counts as more
    of them a second.
    """

    forward: float
    input_backward: float  # to the image, as an attack needs it
    update_backward: float  # to the weights

    def crafting(self, passes: Passes) -> float:
        """Operations of passes whose backward passes go to the image."""
        return passes.forward * self.forward + passes.backward * self.input_backward

    def update(self, passes: Passes) -> float:
        """Operations of passes whose backward passes go to the weights."""
        return passes.forward * self.forward + passes.backward * self.update_backward


def count_arithmetic(model: nn.Module, x: Tensor) -> Arithmetic:
    """Count the operations of a network's passes with torch's own counter.

    Args:
        x: ``(batch, channels, height, width)`` two or more images.
    """
    own = copy.deepcopy(model).eval()  # the backward pass leaves gradients

    def counted(*, image: bool, weights: bool) -> float:
        inputs = x.detach().clone().requires_grad_(image)
        own.requires_grad_(weights)
        with FlopCounterMode(display=False) as counter:
            logits = own(inputs)
            if image or weights:
                logits.sum().backward()
        return float(counter.get_total_flops()) / len(x)

    with torch.enable_grad():
        forward = counted(image=False, weights=False)
        image, weights = counted(image=True, weights=False), counted(image=False, weights=True)
    return Arithmetic(forward, image - forward, weights - forward)
