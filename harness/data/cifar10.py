"""CIFAR-10, fetched and checked by the checksums that torchvision and Keras publish."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from harness.data._torchvision import Download, fetch_missing
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.plugin.network import Shape

SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"  # of the archive


@dataclass(frozen=True, kw_only=True)
class CIFAR10(DataSource):
    """60,000 colour 32x32 photographs of 10 kinds of things (Krizhevsky, technical report, Toronto 2009).

    50,000 to train, 10,000 to test, as published. Augmentation: random crop after padding by 4, random flip.
    """

    outline: ClassVar[tuple[Shape, int, int] | None] = (Shape(3, 32, 32, 10), 50_000, 10_000)

    def here(self, data_dir: Path) -> bool:
        return _download().is_in(data_dir)

    def load(self, data_dir: Path) -> Dataset:
        from torchvision import datasets

        published = datasets.CIFAR10
        fetch_missing(data_dir, [_download()])
        with warnings.catch_warnings():
            # the published pickles store a flag as 0 or 1, about which numpy 2.4.0 to 2.4.4 warn (numpy/numpy#31177)
            warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
            train, test = (published(data_dir, train=part) for part in (True, False))
        return Dataset(
            name="cifar10",
            train=_split(train),
            test=_split(test),
            classes=tuple(train.classes),
            augmentation=Augmentation(crop_padding=4, flip=True),
        )


def _download() -> Download:
    from torchvision import datasets

    published = datasets.CIFAR10
    files = [*published.train_list, *published.test_list, (published.meta["filename"], published.meta["md5"])]
    members = {f"{published.base_folder}/{name}": md5 for name, md5 in files}
    return Download(published.url, published.filename, published.tgz_md5, SHA256, members)


def _split(part: Any) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()  # torchvision's arrays have channels last
    return Split(images, torch.tensor(part.targets, dtype=torch.int64))
