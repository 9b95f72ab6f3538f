"""Fashion-MNIST, fetched and checked by the checksums that torchvision and TensorFlow publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.data._idx import idx_downloads, read_parts
from harness.plugin.dataset import Augmentation, Dataset, DataSource
from harness.plugin.network import Shape

SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


@dataclass(frozen=True, kw_only=True)
class FashionMNIST(DataSource):
    """70,000 grey 28x28 photographs of clothes (Xiao et al., arXiv:1708.07747).

    60,000 to train, 10,000 to test, as published, in one channel and not padded. Augmentation: random crop after
    padding by 4, random flip.
    """

    outline: ClassVar[tuple[Shape, int, int] | None] = (Shape(1, 28, 28, 10), 60_000, 10_000)

    def here(self, data_dir: Path) -> bool:
        from torchvision import datasets

        return all(download.is_in(data_dir) for download in idx_downloads(datasets.FashionMNIST, SHA256))

    def load(self, data_dir: Path) -> Dataset:
        from torchvision import datasets

        train, test = read_parts(datasets.FashionMNIST, SHA256, data_dir)
        return Dataset(
            name="fashion-mnist",
            train=train,
            test=test,
            classes=CLASSES,
            augmentation=Augmentation(crop_padding=4, flip=True),
        )
