"""The items of a bench: a training step, or an attack; and in which order, and for how long, they are measured."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import torch

from harness.execution.stopwatch import Clock
from harness.planning.measured_times import Timed

MOST_REPEATS = 5
FEWEST = 4  # images together
_UNHURRIED_S = 0.02  # a pass that takes less may cost as much for half the images
_TAKEN = 0.7  # of an item's seconds, by one step or block; the rest is for what it prepares


@dataclass(frozen=True, kw_only=True)
class Item:
    """One method's training step, or one attack.

    Attributes:
        images: how many it took together: a batch, or a block; 0 where nothing was measured.
        each_s: for each repeat the seconds an image; empty where nothing was measured.
        operations: floating-point operations of an image.
        shares: of the time of a step, by part.
        peak_bytes: of the device's memory; None on the CPU, where memory is the process's.
    """

    name: str
    timed: Timed
    operations: float
    images: int = 0
    each_s: tuple[float, ...] = ()
    shares: dict[str, float] = field(default_factory=dict)
    peak_bytes: int | None = None


class Measuring(Protocol):
    """Measures the items of one kind."""

    noun: str

    def expected(self, name: str) -> Item:
        """The item as it follows from its passes and from what was measured so far."""

    def measured(self, expected: Item, share: float, most: float, *, fewest: bool = False) -> Item:
        """The item, measured in about ``share`` seconds; as expected if ``most`` seconds would not do.

        Args:
            fewest: whether as few images will do as tell anything, if nothing like it was measured. Otherwise, what is
                computed from others with more images is nearer to the truth.
        """


def sweep(
    measuring: Measuring, names: Iterable[str], end: float, clock: Clock, tell: Callable[[str], None]
) -> tuple[Item, ...]:
    """Measure the items, the cheapest first, until the clock says ``end``; compute those that take too long.

    Each may take its share of the time that is left, or twice as much. Then the others get a second chance, with few
    images and all the time that is left, so that there is something measured to compute with.

    Args:
        names: of all items, in the order of the result.
    """
    order = list(names)
    cheap_first = sorted(order, key=lambda name: measuring.expected(name).timed.passes.total)
    found: dict[str, Item] = {}
    for done, name in enumerate(cheap_first):
        tell(f"{measuring.noun} {name}")
        share = max(end - clock(), 0.0) / (len(cheap_first) - done)
        found[name] = measuring.measured(measuring.expected(name), share, 2 * share)
    others = [name for name in cheap_first if not found[name].each_s]
    for done, name in enumerate(others):
        tell(f"{measuring.noun} {name}, with few images")
        left = max(end - clock(), 0.0)
        found[name] = measuring.measured(measuring.expected(name), left / (len(others) - done), left, fewest=True)
    return tuple(found[name] if found[name].each_s else measuring.expected(name) for name in order)


def images_together(wanted: int, fewest: int, image_s: float, pass_s: float, share: float, most: float) -> int | None:
    """How many images to take together: as many as a real run does, or else fewer; None if too few would do.

    Args:
        fewest: the least that tells something.
        image_s, pass_s: seconds of an image, and of its forward pass.
        share, most: seconds that the item may take, and must not exceed.
    """
    fewest = min(wanted, max(fewest, math.ceil(_UNHURRIED_S / pass_s)))
    images = wanted
    while images > fewest and images * image_s > _TAKEN * share:
        images = max(fewest, images // 2)
    return images if images * image_s <= _TAKEN * most else None


def forget_peak(device: torch.device) -> None:
    """Begin to measure the peak of the device's memory, without what an earlier item has left."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int | None:
    """The peak of the device's memory; None on the CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
