"""Which test images a balanced sample has: they depend on the labels of the data set, which the store does not have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from harness.errors import HarnessError
from harness.plugin.images import Images
from harness.store.records import DatasetRecord

if TYPE_CHECKING:
    from harness.plugin.dataset import DataSource


class ImagePlaces:
    """Finds the test images of evaluation sets, as positions in the data set.

    A data set is read if its name alone says where it is, and if it is here, so that nothing is downloaded.

    Attributes:
        unknown: names of the data sets of which a balanced sample was asked for in vain.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._labels: dict[str, list[int] | None] = {}
        self.unknown: set[str] = set()

    def __call__(self, dataset: DatasetRecord, images: Images) -> Sequence[int] | None:
        """The positions in the order of the verdicts; None where they cannot be told."""
        if images.sample == "first":
            return range(images.count)
        if dataset.fingerprint not in self._labels:
            self._labels[dataset.fingerprint] = self._read(dataset)
        labels = self._labels[dataset.fingerprint]
        if labels is None:
            self.unknown.add(dataset.name)
            return None
        return images.places(labels)

    def _read(self, dataset: DatasetRecord) -> list[int] | None:
        """The labels of the test images; None where the data set is not here, or is another one of that name."""
        from harness.registry.catalogue import discover  # imported late: data sets need torch

        found = discover("datasets").found.get(dataset.name)
        cls = None if found is None else cast("type[DataSource]", found.cls)
        if cls is None or cls.argument is not None:
            return None
        source = cls()
        try:
            read = source.load(self._data_dir) if source.here(self._data_dir) else None
        except HarnessError:
            return None
        return read.test.labels.tolist() if read is not None and read.fingerprint == dataset.fingerprint else None
