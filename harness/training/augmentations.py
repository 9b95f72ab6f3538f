"""What a training does to the images of a batch: the data set's crop and flip, then what the protocol names.

Every draw comes from the epoch's generator of augmentation. torchvision's AutoAugment draws from the global generators;
here it does so under a seed from the epoch's generator, and leaves the global generators as they were.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from harness.errors import SettingError, listed
from harness.plugin.dataset import Augmentation, Dataset
from harness.plugin.method import Method, Mixture
from harness.protocols.images_protocol import POLICIES, ImagesProtocol
from harness.runtime.seeds import global_seed
from harness.training.batches import Change, augment
from harness.training.erasing import cutmix, cutout, erase

_COLOUR = (("color", 0.1, 1.9), ("brightness", 0.5, 1.9), ("contrast", 0.5, 1.9), ("sharpness", 0.1, 1.9))
_PLAIN = (("autocontrast", 0.0, 0.0), ("equalize", 0.0, 0.0))
_BIASED = {  # of IDBH: each operation with the range of its strength, without the end, and the probabilities
    "color": ((*_COLOUR, *_PLAIN, ("shear", 0.05, 0.15), ("rotate", 1.0, 11.0)), (0.125,) * 8),
    "shape": (
        (*_COLOUR, *_PLAIN, ("shear", 0.05, 0.35), ("rotate", 1.0, 31.0)),
        (0.08, 0.08, 0.04, 0.08, 0.04, 0.08, 0.3, 0.3),
    ),
}
_IDBH = {  # the most lines that are cropped, the operations, and probability and largest area of what is erased
    "idbh-weak": (10, "color", 0.5, 0.33),
    "idbh-strong": (10, "color", 1.0, 0.33),
    "idbh-svhn": (8, "shape", 1.0, 0.5),
}


def refuse_augment(protocol: ImagesProtocol, dataset: Dataset) -> None:
    """Refuse changes that the images of a data set do not allow.

    Raises:
        SettingError: names the change and what it needs.
    """
    shape, policy = dataset.shape, POLICIES & set(protocol.augment)
    if policy and (dataset.levels != 255 or shape.channels not in (1, 3) or min(shape.height, shape.width) < 16):
        raise SettingError(
            f"train.augment={min(policy)} is refused for {dataset.name}: it needs images of 16x16 pixels or more, grey"
            f" or in colour, with 256 levels; these are {shape.height}x{shape.width} with {dataset.levels + 1} levels,"
            f" in {shape.channels} channel(s)"
        )


def change_of(dataset: Dataset, protocol: ImagesProtocol) -> Change:
    """What a training does to the images of a batch."""
    own = dataset.augmentation
    if not protocol.augment:
        return lambda images, draws: augment(images, own, draws)
    return lambda images, draws: augmented(images, own, protocol, draws)


def augmented(images: Tensor, own: Augmentation, protocol: ImagesProtocol, draws: torch.Generator) -> Tensor:
    """Change the images of a batch, each independently of the others; ``cutmix`` comes later, on pairs of images.

    IDBH has a crop of its own in place of the data set's. Departs: it leaves the flip to the data set, where the
    released code flips for SVHN, too.

    Args:
        images: ``(n, channels, height, width)`` uint8.
        own: the data set's crop and flip.
    """
    policy = next(iter(POLICIES & set(protocol.augment)), None)
    idbh = _IDBH.get(policy or "")
    images = augment(images, Augmentation(0, own.flip) if idbh else own, draws)
    if idbh is not None:
        lines, bias, probability, largest = idbh
        images = crop_shift(images, lines, draws)
        images = color_shape(images, bias, draws)
        images = erase(images, probability, largest, draws)
    elif policy is not None:
        images = _auto_augment(images, draws)
    return cutout(images, protocol.cutout_length, draws) if "cutout" in protocol.augment else images


def mixed(x: Tensor, y: Tensor, protocol: ImagesProtocol, draws: torch.Generator) -> tuple[Tensor, Mixture | None]:
    """The images of a batch after CutMix, and what became of their labels; both as they were if it is not asked for."""
    if "cutmix" not in protocol.augment:
        return x, None
    images, other, share = cutmix(x, protocol.cutmix_probability, draws)
    return images, Mixture(y[other], share)


def refuse_mixed_labels(protocol: ImagesProtocol, methods: Mapping[str, Method]) -> None:
    """Refuse to mix images for a method that reads one label of each.

    Raises:
        SettingError: names the method.
    """
    own = {name: vars(type(method)) for name, method in methods.items()}  # not what a base class says of its own loss
    hard = [name for name, said in own.items() if not said.get("takes_mixed_labels", False)]
    if "cutmix" in protocol.augment and hard:
        raise SettingError(
            f"train.augment=cutmix is refused for {listed(hard)}: a mixed image has two labels, and the method reads"
            " one; trades reads both"
        )


def crop_shift(images: Tensor, most: int, draws: torch.Generator) -> Tensor:
    """Crop some lines of each image, then put the rest anywhere in a black image of the old size.

    So many lines as a uniform whole number from 0 to ``most`` are cropped, and a uniform part of them are columns.

    Source: CropShift of Li and Spratling, ICLR 2023, arXiv:2301.09879.
    """
    n, _, height, width = images.shape
    lines, part, *places = torch.rand(6, n, generator=draws, device=images.device, dtype=torch.float64)
    strength = (lines * (most + 1)).long()
    columns = (part * (strength + 1)).long()
    rows = strength - columns
    (from_row, row_index), (from_column, column_index) = (
        _moved(size, cropped, *each)
        for size, cropped, each in ((height, rows, places[:2]), (width, columns, places[2:]))
    )
    each = torch.arange(n, device=images.device)[:, None, None]
    taken = images[each, :, row_index[:, :, None], column_index[:, None, :]].permute(0, 3, 1, 2)
    there = (from_row[:, :, None] & from_column[:, None, :])[:, None]
    return torch.where(there, taken, 0).to(images.dtype)


def _moved(size: int, cropped: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """For each line of the new images, whether it shows one of the old ones, and which; both ``(n, size)``."""
    start, place = (first * (cropped + 1)).long(), (second * (cropped + 1)).long()
    line = torch.arange(size, device=cropped.device) - place[:, None]
    there = (line >= 0) & (line < (size - cropped)[:, None])
    return there, torch.where(there, line + start[:, None], 0)


def color_shape(images: Tensor, bias: str, draws: torch.Generator) -> Tensor:
    """Change each image by one operation, in its colour or its shape, of a strength that is drawn.

    Args:
        bias: ``color`` or ``shape``: which operations are the more frequent, and how strong they are.
    Source: ColorShape of Li and Spratling 2023, and their released code (src/data/idbh.py): an angle of rotation is a
        whole number of degrees, and a shear's strength an angle in radians, along rows or columns with probability 1/2
        each. Departs: torchvision's operations on tensors, where that code has those of PIL, which round otherwise.
    """
    from torchvision.transforms.v2 import functional as change  # imported late: it takes a second

    operations, chances = _BIASED[bias]
    drawn = torch.rand(4, len(images), generator=draws, device=images.device, dtype=torch.float64).cpu()
    ends = torch.tensor(chances, dtype=torch.float64).cumsum(0)
    which = torch.searchsorted(ends[:-1], drawn[0], right=True).tolist()
    changed = []
    for image, at, (fraction, sign, way) in zip(images, which, drawn[1:].T.tolist(), strict=True):
        name, low, high = operations[at]
        strength = low + (high - low) * fraction
        signed = strength if sign < 0.5 else -strength
        match name:
            case "color":
                image = change.adjust_saturation(image, strength)
            case "brightness":
                image = change.adjust_brightness(image, strength)
            case "contrast":
                image = change.adjust_contrast(image, strength)
            case "sharpness":
                image = change.adjust_sharpness(image, strength)
            case "autocontrast":
                image = change.autocontrast(image)
            case "equalize":
                image = change.equalize(image)
            case "rotate":
                image = change.rotate(image, math.copysign(math.floor(strength), signed))
            case "shear":
                degrees = math.degrees(signed)
                shear = [degrees, 0.0] if way < 0.5 else [0.0, degrees]
                image = change.affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=shear)
        changed.append(image)
    return torch.stack(changed)


def _auto_augment(images: Tensor, draws: torch.Generator) -> Tensor:
    """Change each image by torchvision's AutoAugment with the policy that was learned on CIFAR-10.

    Source: Cubuk et al., CVPR 2019, arXiv:1805.09501. Departs: what torchvision does.
    """
    from torchvision.transforms.v2 import AutoAugment, AutoAugmentPolicy  # imported late: it takes a second

    change = AutoAugment(AutoAugmentPolicy.CIFAR10)
    seed = int(torch.randint(0, 2**62, (1,), generator=draws, device=images.device))
    with global_seed(images.device, seed):
        return torch.stack([change(image) for image in images])
