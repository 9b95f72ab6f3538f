"""SVHN, fetched and checked by the checksums that torchvision publishes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from harness.data._torchvision import Download, fetch_missing
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.plugin.network import Shape

SHA256 = {
    "train": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}


@dataclass(frozen=True, kw_only=True)
class SVHN(DataSource):
    """99,289 colour 32x32 photographs of house-number digits (Netzer et al., NIPS workshop 2011).

    73,257 to train, 26,032 to test, as published; the easier ``extra`` part is not used. The files label the digit
    zero as 10; here it is 0. Augmentation: random crop after padding by 4; no flip, since a mirrored digit is no digit.
    """

    outline: ClassVar[tuple[Shape, int, int] | None] = (Shape(3, 32, 32, 10), 73_257, 26_032)

    def here(self, data_dir: Path) -> bool:
        return all(download.is_in(data_dir) for download in _downloads())

    def load(self, data_dir: Path) -> Dataset:
        from torchvision import datasets

        fetch_missing(data_dir, _downloads())
        train, test = (datasets.SVHN(data_dir, split=part) for part in ("train", "test"))
        return Dataset(
            name="svhn",
            train=Split(torch.from_numpy(np.ascontiguousarray(train.data)), torch.from_numpy(train.labels)),
            test=Split(torch.from_numpy(np.ascontiguousarray(test.data)), torch.from_numpy(test.labels)),
            classes=tuple("0123456789"),
            augmentation=Augmentation(crop_padding=4, flip=False),
        )


def _downloads() -> list[Download]:
    from torchvision import datasets

    listed = {part: datasets.SVHN.split_list[part] for part in SHA256}
    return [Download(url, name, md5, SHA256[part]) for part, (url, name, md5) in listed.items()]
