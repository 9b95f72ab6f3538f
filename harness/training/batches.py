"""Batches of an epoch, shuffled and augmented on the device that holds the data set."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.plugin.dataset import Augmentation, Dataset
from harness.runtime.seeds import generator


def epoch_batches(dataset: Dataset, batch_size: int, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every training image once, in an order and with an augmentation that (seed, epoch) decide.

    Yields ``(batch, channels, height, width)`` float32 in [0, 1] and int64 labels; the last batch may be smaller, but a
    last batch of a single image joins the one before it, since batch-norm needs two.
    """
    device = dataset.train.images.device
    order = torch.randperm(len(dataset.train), generator=generator(device, seed, "order", epoch), device=device)
    draws = generator(device, seed, "augmentation", epoch)
    for chosen in torch.split(order, batch_sizes(len(order), batch_size)):
        images = augment(dataset.train.images[chosen], dataset.augmentation, draws)
        yield dataset.pixels(images), dataset.train.labels[chosen]


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """How many images each batch of an epoch has."""
    sizes = [batch_size] * (images // batch_size)
    rest = images % batch_size
    if sizes and rest == 1:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def batch_code(images: int, batch_size: int) -> dict[str, str]:
    """What a run's identity takes of the rule for a last batch of one, where there is one.

    Trainings of earlier versions took such a batch by itself: theirs are other results.
    """
    return {"last batch": "joined"} if images > batch_size and images % batch_size == 1 else {}


def augment(images: Tensor, augmentation: Augmentation, draws: torch.Generator) -> Tensor:
    """Random crop, then random flip, of each image of a uint8 batch by itself."""
    if augmentation.crop_padding:
        images = _random_crop(images, augmentation.crop_padding, draws)
    if augmentation.flip:
        flipped = torch.rand(len(images), generator=draws, device=images.device) < 0.5
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    return images


def _random_crop(images: Tensor, padding: int, draws: torch.Generator) -> Tensor:
    """Each image at its own offset in its zero-padded frame, by one gather for the whole batch."""
    n, _, height, width = images.shape
    device = images.device
    padded = F.pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, n), generator=draws, device=device)
    rows = top[:, None] + torch.arange(height, device=device)
    columns = left[:, None] + torch.arange(width, device=device)
    each = torch.arange(n, device=device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
