"""What a data set is: all images as one uint8 tensor, and a source that reads them from where they are."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from harness.plugin.images import Images
from harness.plugin.network import Shape
from harness.plugin.settings import Plugin


@dataclass(frozen=True)
class Split:
    """Images and labels of one part.

    Attributes:
        images: ``(n, channels, height, width)`` uint8, pixel levels; a pixel of value ``levels`` is 1.0.
        labels: ``(n,)`` int64.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Augmentation:
    """What the training does to an image before it attacks it."""

    crop_padding: int = 0  # pixels of zero padding around a random crop of the original size; 0: no crop
    flip: bool = False  # left-right with probability 1/2


@dataclass(frozen=True)
class Dataset:
    """A data set in memory, on one device.

    Attributes:
        levels: the pixel value that stands for 1.0: 255 for photographs, 16 for the digits.
        sampled_from: how many test images there are, where ``test`` holds a balanced sample alone, in its order.
        identified_by: what names the data set where it was not read as a whole; None for the fingerprint of its pixels.
        notes: what the user should know, one line each.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    levels: int = 255
    augmentation: Augmentation = Augmentation()
    sampled_from: int | None = None
    identified_by: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def test_total(self) -> int:
        """How many test images the data set has, read or not."""
        return len(self.test) if self.sampled_from is None else self.sampled_from

    def places(self, images: Images) -> Tensor:
        """``(n,)`` int64: where the images of an evaluation set are in ``test``, in the order of their verdicts."""
        if self.sampled_from is not None and images.sample == "balanced":
            return torch.arange(images.count)  # no others were read, and these in their order
        return torch.tensor(images.places(self.test.labels.tolist()))

    @property
    def shape(self) -> Shape:
        """Channels, height, width, and number of classes."""
        channels, height, width = self.test.images.shape[1:]
        return Shape(channels, height, width, len(self.classes))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every pixel, label, and class name of both parts, and the augmentation.

        Of a data set that was not read as a whole, what its source names it by.
        """
        if self.identified_by is not None:
            return self.identified_by
        sha = hashlib.sha256(repr((self.classes, self.levels, self.augmentation)).encode())
        for part in (self.train, self.test):
            for tensor in (part.images, part.labels):
                sha.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
                sha.update(tensor.cpu().contiguous().numpy().data)
        return sha.hexdigest()

    def to(self, device: torch.device) -> Dataset:
        """The same data set on a device; nothing is loaded from the disk again."""
        train, test = (Split(p.images.to(device), p.labels.to(device)) for p in (self.train, self.test))
        return replace(self, train=train, test=test)

    def pixels(self, images: Tensor) -> Tensor:
        """uint8 levels to float32 in [0, 1]."""
        return images.float() / self.levels


@dataclass(frozen=True, kw_only=True)
class DataSource(Plugin, ABC):
    """Base of data sets. Subclass it as a frozen, keyword-only dataclass and write ``load``.

    ``--dataset NAME:ARGUMENT`` sets the field that ``argument`` names.
    """

    protocol: ClassVar[str] = "paper"
    """The protocol that is used where the user names none."""

    bundled: ClassVar[bool] = False
    """Whether it comes with an installed package: ``load`` fetches nothing and leaves the data directory alone."""

    outline: ClassVar[tuple[Shape, int, int] | None] = None
    """Shape and classes, and the numbers of training and of test images, where they are known without reading them."""

    argument: ClassVar[str | None] = None
    """The field that takes what follows the colon in ``--dataset NAME:ARGUMENT``."""

    def here(self, data_dir: Path) -> bool:
        """Whether ``load`` would fetch nothing."""
        return True

    def load_for_evaluation(self, data_dir: Path, limit: int | None) -> Dataset:
        """Read what an evaluation needs; a source that can read less than everything overrides it.

        Args:
            limit: how many test images are wanted, as a balanced sample; None for all.
        Raises:
            DataError: as ``load`` does.
        """
        return self.load(data_dir)

    @abstractmethod
    def load(self, data_dir: Path) -> Dataset:
        """Read the data set, fetching it into ``data_dir`` first if need be.

        Raises:
            DataError: missing, corrupt, or not to be fetched: which file, how to get it, and that
                ``--dataset digits`` needs no download.
        """
