"""The classes of a data set's test images: the store keeps verdicts, and not labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import UnknownName
from harness.store.records import DatasetRecord

if TYPE_CHECKING:
    from harness.plugin.dataset import Dataset, DataSource

DEFAULT_DATA_DIR = Path("data")


@dataclass(frozen=True)
class Labels:
    """The class of each test image, in order, and the classes' names."""

    labels: Sequence[int]
    names: Sequence[str]


def read(text: str, options: Mapping[str, Any], data_dir: Path | None, plugins: Sequence[Path]) -> Dataset:
    """Read the data set that ``--dataset`` names, from ``data_dir`` if need be.

    Args:
        options: those for folders of images; see ``read_dataset``.
    Raises:
        HarnessError: there is no such data set, or it cannot be read.
    """
    from harness.planning.overrides import read_dataset
    from harness.registry.catalogue import discover, make
    from harness.registry.loading import load

    cls, values = read_dataset(discover("datasets", plugins), text, options)
    return load(cast("DataSource", make(cls, text, values)), data_dir or DEFAULT_DATA_DIR, evaluation_only=True)


def known_labels(record: DatasetRecord, data_dir: Path | None, plugins: Sequence[Path]) -> Labels | str:
    """The labels of a data set that was evaluated; or why they are not known, in a line.

    Nothing is fetched unasked: without ``data_dir`` only a data set that comes with an installed package is read.
    """
    from harness.registry.catalogue import discover

    if ":" in record.name:
        return f"the labels are not in the store: give --dataset {record.name.partition(':')[0]}:PATH"
    try:
        cls = cast("type[DataSource]", discover("datasets", plugins).get(record.name))
    except UnknownName:
        return f"the labels are not in the store, and there is no data set {record.name}: give its --plugin"
    if not (cls.bundled or data_dir):
        return f"the labels are not in the store: give --data-dir, the folder in which {record.name} lies"
    return labels_of(read(record.name, {}, data_dir, plugins), record)


def labels_of(dataset: Dataset, record: DatasetRecord) -> Labels | str:
    """The labels of a data set in memory, if it is the one that was evaluated; equal names are told apart."""
    if dataset.fingerprint != record.fingerprint:
        return f"the labels are not known: {dataset.name} is here [{dataset.fingerprint[:8]}], not as it was evaluated"
    names = dataset.classes
    apart = tuple(name if names.count(name) == 1 else f"{name} (class {i})" for i, name in enumerate(names))
    return Labels(dataset.test.labels.tolist(), apart)
