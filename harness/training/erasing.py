"""Random rectangles of images: black in Cutout and random erasing, taken from another image in CutMix.

Each is drawn from the caller's generator, on the images' device, with one number of draws for a batch of a size.
"""

from __future__ import annotations

import torch
from torch import Tensor

_TRIES = 10  # of random erasing, to find a rectangle that fits


def rectangles(top: Tensor, left: Tensor, height: Tensor, width: Tensor, shape: tuple[int, int]) -> Tensor:
    """``(n, 1, *shape)`` bool: the pixels of n rectangles, as far as they lie in the image.

    Args:
        top, left, height, width: ``(n,)`` int64; the first two may be negative.
    """
    rows = torch.arange(shape[0], device=top.device)
    columns = torch.arange(shape[1], device=top.device)
    inside = (rows >= top[:, None]) & (rows < (top + height)[:, None])
    across = (columns >= left[:, None]) & (columns < (left + width)[:, None])
    return (inside[:, :, None] & across[:, None, :])[:, None]


def cutout(images: Tensor, length: int, draws: torch.Generator) -> Tensor:
    """Make a square of each image black; its centre is any pixel, so that a part of it may lie outside.

    Args:
        images: ``(n, channels, height, width)`` uint8.
    Source: DeVries and Taylor 2017, arXiv:1708.04552. Departs: black, where the released code puts 0 after it has
        normalised, the mean colour: a robust network gets images that are not normalised.
    """
    n, _, height, width = images.shape
    row = torch.randint(0, height, (n,), generator=draws, device=images.device)
    column = torch.randint(0, width, (n,), generator=draws, device=images.device)
    side = torch.full_like(row, length)
    hole = rectangles(row - length // 2, column - length // 2, side, side, (height, width))
    return torch.where(hole, 0, images).to(images.dtype)


def erase(images: Tensor, probability: float, largest: float, draws: torch.Generator) -> Tensor:
    """Make a rectangle of some images black: of an area from 2 % of the image's on, its sides 0.3 to 3.3 to 1.

    Args:
        images: ``(n, channels, height, width)`` uint8.
        probability: that an image is changed.
        largest: of the area, as a fraction of the image's.
    Source: Zhong et al., AAAI 2020, arXiv:1708.04896; torchvision's RandomErasing draws area, ratio (on a logarithmic
        scale), and place in this way, and leaves an image as it is if ten rectangles do not fit into it.
    """
    n, _, height, width = images.shape
    drawn = torch.rand(5, n, _TRIES, generator=draws, device=images.device, dtype=torch.float64)
    area = (0.02 + (largest - 0.02) * drawn[0]) * height * width
    ratio = 0.3 * (3.3 / 0.3) ** drawn[1]
    h, w = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (h < height) & (w < width)
    first = fits.int().argmax(1, keepdim=True)
    h, w, top, left = (each.gather(1, first)[:, 0] for each in (h, w, drawn[2], drawn[3]))
    top, left = (top * (height - h + 1)).long(), (left * (width - w + 1)).long()
    chosen = (drawn[4, :, 0] < probability) & fits.any(1)
    hole = rectangles(top, left, h, w, (height, width)) & chosen[:, None, None, None]
    return torch.where(hole, 0, images).to(images.dtype)


def cutmix(x: Tensor, probability: float, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """With some probability, put a rectangle of another image of the batch into each image.

    All images of a batch get the same rectangle; its sides are those of the image times sqrt(1 - lambda), lambda is
    uniform, its centre is any pixel, and what lies outside the image is cut off.

    Args:
        x: ``(n, channels, height, width)``.
    Returns:
        The images; ``(n,)`` int64, the place in the batch of each image's other one; and ``()`` float32, the share of
        pixels that stayed, which the label's share equals.
    Source: Yun et al., ICCV 2019, arXiv:1905.04899, with Beta(1, 1); released code. Departs: nothing.
    """
    n, _, height, width = x.shape
    drawn = torch.rand(4, generator=draws, device=x.device, dtype=torch.float64)
    other = torch.randperm(n, generator=draws, device=x.device)
    side = drawn[0].sqrt()  # 1 - lambda is as uniform as lambda
    tall, wide = (height * side).long(), (width * side).long()
    row, column = (height * drawn[1]).long(), (width * drawn[2]).long()
    top, left = row - tall // 2, column - wide // 2
    tall, wide = 2 * (tall // 2), 2 * (wide // 2)  # the released code takes half of each on either side
    hole = rectangles(top[None], left[None], tall[None], wide[None], (height, width))[0]
    hole &= drawn[3] < probability
    share = 1 - hole.double().mean()
    return torch.where(hole, x[other], x), other, share.float()
