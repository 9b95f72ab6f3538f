"""scikit-learn's bundled handwritten digits: a real data set that needs no download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from harness.plugin.dataset import Dataset, DataSource, Split

TEST_EXAMPLES = 360
SPLIT_SEED = 0  # fixed: the split is part of the data set "digits"


@dataclass(frozen=True, kw_only=True)
class Digits(DataSource):
    """1,797 grey 8x8 handwritten digits (Alpaydin and Kaynak, UCI 1998; bundled with scikit-learn).

    Pixels are 0 ... 16 and are divided by 16. A fixed stratified split: 1,437 to train, 360 to test. No augmentation:
    at 8x8 a shift by one pixel is an eighth of the image, and a mirrored digit is no digit.
    """

    protocol: ClassVar[str] = "digits"
    bundled: ClassVar[bool] = True

    def load(self, data_dir: Path) -> Dataset:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        images, labels = load_digits(return_X_y=True)
        parts = train_test_split(images, labels, test_size=TEST_EXAMPLES, stratify=labels, random_state=SPLIT_SEED)
        train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in parts)
        return Dataset(
            name="digits",
            train=Split(train_x.to(torch.uint8).view(-1, 1, 8, 8), train_y.to(torch.int64)),
            test=Split(test_x.to(torch.uint8).view(-1, 1, 8, 8), test_y.to(torch.int64)),
            classes=tuple("0123456789"),
            levels=16,
        )
