"""The contract of a data set: a source reads all images into one uint8 tensor for each part."""

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
    """Images and labels of one part (train or test).

    Attributes:
        images: ``(n, channels, height, width)`` uint8; the pixel value ``Dataset.levels`` stands for 1.0.
        labels: ``(n,)`` int64.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Split:
        """The same on another device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Augmentation:
    """The random changes that training makes to an image before it crafts variants."""

    crop_padding: int = 0  # pixels of zero padding around a random crop of the original size; 0: no crop
    flip: bool = False  # left-right with probability 1/2


@dataclass(frozen=True)
class Dataset:
    """A data set in memory, on one device.

    Attributes:
        levels: the pixel value that stands for 1.0: 255 for photographs, 16 for the digits.
        sampled_from: if ``test`` holds only a balanced sample, in the sample's order: how many test images there are.
        identified_by: the fingerprint of a data set that was not read completely; None: computed from all pixels.
        notes: remarks for the user, one line each.
        extra: generated images that a training draws from, besides those of ``train``; no part of the fingerprint.
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
    extra: Split | None = None

    @property
    def test_total(self) -> int:
        """How many test images the data set has, read or not."""
        return len(self.test) if self.sampled_from is None else self.sampled_from

    def places(self, images: Images) -> Tensor:
        """``(n,)`` int64: the positions in ``test`` of an evaluation set's images, in the order of the verdicts."""
        if self.sampled_from is not None and images.sample == "balanced":
            return torch.arange(images.count)  # only these images were read, in the sample's order
        return torch.tensor(images.places(self.test.labels.tolist()))

    @property
    def shape(self) -> Shape:
        """Channels, height, width, and number of classes."""
        channels, height, width = self.test.images.shape[1:]
        return Shape(channels, height, width, len(self.classes))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every pixel, label, and class name of both parts, and the augmentation.

        ``identified_by`` replaces it for a data set that was not read completely.
        """
        if self.identified_by is not None:
            return self.identified_by
        sha = hashlib.sha256(repr((self.classes, self.levels, self.augmentation)).encode())
        for part in (self.train, self.test):
            for tensor in (part.images, part.labels):
                sha.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
                sha.update(tensor.cpu().contiguous().numpy().data)
        return sha.hexdigest()

    @cached_property
    def extra_sha256(self) -> str:
        """SHA-256 over the pixels and labels of the generated images; empty if there are none."""
        if self.extra is None:
            return ""
        sha = hashlib.sha256()
        for tensor in (self.extra.images.permute(0, 2, 3, 1), self.extra.labels):
            sha.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
            sha.update(tensor.cpu().contiguous().numpy().data)
        return sha.hexdigest()

    def to(self, device: torch.device) -> Dataset:
        """The same data set on another device; nothing is read from the disk again."""
        train, test = self.train.to(device), self.test.to(device)
        return replace(self, train=train, test=test, extra=None if self.extra is None else self.extra.to(device))

    def pixels(self, images: Tensor) -> Tensor:
        """Convert uint8 levels to float32 in [0, 1]."""
        return images.float() / self.levels


@dataclass(frozen=True, kw_only=True)
class DataSource(Plugin, ABC):
    """Base of data sets. Subclass it as a frozen, keyword-only dataclass and write ``load``.

    ``--dataset NAME:ARGUMENT`` sets the field that ``argument`` names.
    """

    protocol: ClassVar[str] = "paper"
    """The protocol to use if the user names none."""

    bundled: ClassVar[bool] = False
    """Whether an installed package contains the data; then ``load`` neither downloads nor uses the data directory."""

    outline: ClassVar[tuple[Shape, int, int] | None] = None
    """Shape, number of training images, number of test images; None if they are unknown before the data are read."""

    argument: ClassVar[str | None] = None
    """The field that is set to ARGUMENT by ``--dataset NAME:ARGUMENT``."""

    def here(self, data_dir: Path) -> bool:
        """Whether ``load`` would not have to download anything."""
        return True

    def load_for_evaluation(self, data_dir: Path, limit: int | None) -> Dataset:
        """Read what an evaluation needs. Reads everything by default; override it in a source that can read less.

        Args:
            limit: how many test images are wanted, as a balanced sample; None: all.
        Raises:
            DataError: as in ``load``.
        """
        return self.load(data_dir)

    @abstractmethod
    def load(self, data_dir: Path) -> Dataset:
        """Read the data set; download it into ``data_dir`` first if it is not there.

        Raises:
            DataError: a file is missing, corrupt, or cannot be downloaded. The message names the file, says how to get
                it, and that ``--dataset digits`` needs no download.
        """
