"""STL-10, fetched and checked by the checksums that torchvision and others publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from harness.data._torchvision import Download, fetch_missing
from harness.errors import DataError
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.plugin.network import Shape

SHA256 = "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866"  # of the archive
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
PARTS = {"train": ("train_X.bin", "train_y.bin"), "test": ("test_X.bin", "test_y.bin")}
SIDE = 96


@dataclass(frozen=True, kw_only=True)
class STL10(DataSource):
    """13,000 colour 96x96 photographs of 10 kinds of things (Coates et al., AISTATS 2011).

    5,000 to train, 8,000 to test, as published; neither the folds nor the unlabelled images are used. The files label
    the first class as 1; here it is 0. Augmentation: random crop after padding by 12, random flip. The archive to
    download has 2.6 GB, most of it unlabelled images.
    """

    outline: ClassVar[tuple[Shape, int, int] | None] = (Shape(3, SIDE, SIDE, 10), 5_000, 8_000)

    def here(self, data_dir: Path) -> bool:
        return _stl10_download().is_in(data_dir)

    def load(self, data_dir: Path) -> Dataset:
        from torchvision import datasets

        fetch_missing(data_dir, [_stl10_download()])
        folder = data_dir / datasets.STL10.base_folder
        train, test = (_read(folder / images, folder / labels) for images, labels in PARTS.values())
        return Dataset(
            name="stl10",
            train=train,
            test=test,
            classes=CLASSES,
            augmentation=Augmentation(crop_padding=12, flip=True),
        )


def _stl10_download() -> Download:
    from torchvision import datasets

    published = datasets.STL10
    wanted = {name for names in PARTS.values() for name in names}
    files = [*published.train_list, *published.test_list]
    members = {f"{published.base_folder}/{name}": md5 for name, md5 in files if name in wanted}
    return Download(published.url, published.filename, published.tgz_md5, SHA256, members)


def _read(images: Path, labels: Path) -> Split:
    pixels, numbers = (np.fromfile(file, np.uint8) for file in (images, labels))
    if len(pixels) != len(numbers) * 3 * SIDE * SIDE:
        raise DataError(f"cannot read {images}: it has not three bytes for each pixel of {len(numbers)} images")
    columns = pixels.reshape(-1, 3, SIDE, SIDE)  # each channel column by column
    return Split(
        torch.from_numpy(np.ascontiguousarray(columns.transpose(0, 1, 3, 2))),
        torch.from_numpy(numbers.astype(np.int64) - 1),
    )
