"""Batches of an epoch, shuffled and augmented on the device that holds the data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.plugin.dataset import Augmentation, Dataset
from harness.protocols.images_protocol import generated_in
from harness.runtime.seeds import generator


def augmentation_draws(device: torch.device, seed: int, epoch: int) -> torch.Generator:
    """The generator that augments the images of an epoch."""
    return generator(device, seed, "augmentation", epoch)


Change = Callable[[Tensor, torch.Generator], Tensor]
"""Changes the uint8 images of a batch; draws from the generator."""


def epoch_batches(
    dataset: Dataset,
    batch_size: int,
    seed: int,
    epoch: int,
    *,
    after: int = 0,
    draws: torch.Generator | None = None,
    change: Change | None = None,
    fraction: float = 0.0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every training image once; (seed, epoch) decide the order and the augmentation.

    Yields ``(batch, channels, height, width)`` float32 in [0, 1] and int64 labels. The last batch may be smaller. If it
    would have one image, this image joins the batch before it, since batch-norm needs two.

    Args:
        after: how many batches to leave out, which an earlier start has seen.
        draws: the epoch's ``augmentation_draws``, in the state after these batches; None: made here.
        change: of the images; None: the data set's own augmentation.
        fraction: of each batch that is drawn from the data set's generated images, with replacement. The batches are as
            many and as large as without them, so that an epoch has only the rest of the training images, each at most
            once: those that come first in its order.
    Source: of ``fraction``, the sampler of Carmon et al. 2019, and in the released code of Wang et al. 2023 as many
        batches an epoch as 50,000 images make.
    """
    device = dataset.train.images.device
    order = torch.randperm(len(dataset.train), generator=generator(device, seed, "order", epoch), device=device)
    draws = augmentation_draws(device, seed, epoch) if draws is None else draws
    begin = 0
    for index, size in enumerate(batch_sizes(len(order), batch_size)):
        generated = generated_in(size, fraction)
        chosen = order[begin : begin + size - generated]
        begin += len(chosen)
        if index < after:
            continue
        images, labels = dataset.train.images[chosen], dataset.train.labels[chosen]
        if fraction:
            assert dataset.extra is not None  # else the figures would be those of another training
            own = generator(device, seed, "generated", epoch, index)
            drawn = torch.randint(0, len(dataset.extra), (generated,), generator=own, device=device)
            images = torch.cat([images, dataset.extra.images[drawn]]).contiguous()
            labels = torch.cat([labels, dataset.extra.labels[drawn]])
        images = augment(images, dataset.augmentation, draws) if change is None else change(images, draws)
        yield dataset.pixels(images), labels


def some_images(dataset: Dataset, number: int) -> Tensor:
    """So many training images at equal distances, ``(number, channels, height, width)`` float32 in [0, 1]."""
    chosen = torch.linspace(0, len(dataset.train) - 1, number, device=dataset.train.images.device).long()
    return dataset.pixels(dataset.train.images[chosen])


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """The number of images in each batch of an epoch."""
    sizes = [batch_size] * (images // batch_size)
    rest = images % batch_size
    if sizes and rest == 1:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def batch_code(images: int, batch_size: int) -> dict[str, str]:
    """What a run's identity contains about a last batch of one image; empty where there is no such batch.

    Earlier versions trained on such a batch by itself, so their results are different.
    """
    return {"last batch": "joined"} if images > batch_size and images % batch_size == 1 else {}


def augment(images: Tensor, augmentation: Augmentation, draws: torch.Generator) -> Tensor:
    """Crop, then flip, each image of a uint8 batch at random, independently of the others."""
    if augmentation.crop_padding:
        images = _random_crop(images, augmentation.crop_padding, draws)
    if augmentation.flip:
        flipped = torch.rand(len(images), generator=draws, device=images.device) < 0.5
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    return images


def _random_crop(images: Tensor, padding: int, draws: torch.Generator) -> Tensor:
    """Crop each zero-padded image at its own random offset; one gather does the whole batch."""
    n, _, height, width = images.shape
    device = images.device
    padded = F.pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, n), generator=draws, device=device)
    rows = top[:, None] + torch.arange(height, device=device)
    columns = left[:, None] + torch.arange(width, device=device)
    each = torch.arange(n, device=device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
