"""CIFAR-10 and CIFAR-100: one format, which torchvision reads."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from harness.data._torchvision import Download, fetch_missing
from harness.plugin.dataset import Augmentation, Dataset, Split


def cifar_download(published: Any, sha256: str) -> Download:
    """What is downloaded of a class of torchvision's.

    Args:
        sha256: of the archive.
    """
    files = [*published.train_list, *published.test_list, (published.meta["filename"], published.meta["md5"])]
    members = {f"{published.base_folder}/{name}": md5 for name, md5 in files}
    return Download(published.url, published.filename, published.tgz_md5, sha256, members)


def cifar_images(name: str, published: Any, sha256: str, data_dir: Path) -> Dataset:
    """Read both parts, as published, with a random crop after padding by 4 and a random flip for training.

    Raises:
        DataError: a file is corrupt, or a download failed.
    """
    fetch_missing(data_dir, [cifar_download(published, sha256)])
    with warnings.catch_warnings():
        # the published pickles store a flag as 0 or 1, about which numpy 2.4.0 to 2.4.4 warn (numpy/numpy#31177)
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
        train, test = (published(data_dir, train=part) for part in (True, False))
    return Dataset(
        name=name,
        train=_split(train),
        test=_split(test),
        classes=tuple(train.classes),
        augmentation=Augmentation(crop_padding=4, flip=True),
    )


def _split(part: Any) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()  # torchvision's arrays have channels last
    return Split(images, torch.tensor(part.targets, dtype=torch.int64))
