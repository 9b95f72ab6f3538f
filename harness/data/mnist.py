"""MNIST, fetched and checked by the checksums that torchvision and TensorFlow publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.data._idx import idx_downloads, read_parts
from harness.plugin.dataset import Dataset, DataSource
from harness.plugin.network import Shape

SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


@dataclass(frozen=True, kw_only=True)
class MNIST(DataSource):
    """70,000 grey 28x28 handwritten digits (LeCun et al., Proceedings of the IEEE 1998).

    60,000 to train, 10,000 to test, as published, in one channel and not padded. No augmentation. Papers attack MNIST
    in a ball of 0.3, for which --epsilon 0.3 is; the default protocol has 8/255.
    """

    outline: ClassVar[tuple[Shape, int, int] | None] = (Shape(1, 28, 28, 10), 60_000, 10_000)

    def here(self, data_dir: Path) -> bool:
        from torchvision import datasets

        return all(download.is_in(data_dir) for download in idx_downloads(datasets.MNIST, SHA256))

    def load(self, data_dir: Path) -> Dataset:
        from torchvision import datasets

        train, test = read_parts(datasets.MNIST, SHA256, data_dir)
        return Dataset(name="mnist", train=train, test=test, classes=tuple("0123456789"))
