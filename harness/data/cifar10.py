"""CIFAR-10, fetched and checked by the checksums that torchvision and Keras publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.data._cifar import cifar_download, cifar_images
from harness.plugin.dataset import Dataset, DataSource
from harness.plugin.network import Shape

SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"  # of the archive


@dataclass(frozen=True, kw_only=True)
class CIFAR10(DataSource):
    """60,000 colour 32x32 photographs of 10 kinds of things (Krizhevsky, technical report, Toronto 2009).

    50,000 to train, 10,000 to test, as published. Augmentation: random crop after padding by 4, random flip.
    """

    outline: ClassVar[tuple[Shape, int, int] | None] = (Shape(3, 32, 32, 10), 50_000, 10_000)

    def here(self, data_dir: Path) -> bool:
        from torchvision import datasets

        return cifar_download(datasets.CIFAR10, SHA256).is_in(data_dir)

    def load(self, data_dir: Path) -> Dataset:
        from torchvision import datasets

        return cifar_images("cifar10", datasets.CIFAR10, SHA256, data_dir)
