"""The labels of a data set's test images, read from the data set, since the store does not keep labels."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import UnknownName
from harness.store.records import DatasetRecord

if TYPE_CHECKING:
    from harness.plugin.dataset import Dataset, DataSource
    from harness.store.store import Store

DEFAULT_DATA_DIR = Path("data")


@dataclass(frozen=True)
class Labels:
    """The class of each test image, in order, and the name of each class."""

    labels: Sequence[int]
    names: Sequence[str]


def to_be_read(text: str, options: Mapping[str, Any], store: Store) -> bool:
    """Whether ``--dataset`` names images by their place; not if nothing is there, and a board is called so.

    Args:
        options: the command's options for folders of images. One that was given says how images are read.
    """
    if any(value is not None for value in options.values()):
        return True
    _, colon, place = text.partition(":")
    with contextlib.suppress(OSError):  # of a name that is too long
        if not colon or Path(place).exists():
            return bool(colon)
    return all(one.dataset.name != text for one in (*store.called_runs(), *store.named_models()))


def read(text: str, options: Mapping[str, Any], data_dir: Path | None, plugins: Sequence[Path]) -> Dataset:
    """Read the data set that ``--dataset`` names; one that is not bundled lies in ``data_dir``.

    Args:
        options: the command's options for folders of images.
    Raises:
        HarnessError: there is no such data set, or it cannot be read.
    """
    from harness.planning.overrides import read_dataset
    from harness.registry.catalogue import discover, make
    from harness.registry.loading import load

    cls, values = read_dataset(discover("datasets", plugins), text, options)
    return load(cast("DataSource", make(cls, text, values)), data_dir or DEFAULT_DATA_DIR, evaluation_only=True)


def known_labels(record: DatasetRecord, data_dir: Path | None, plugins: Sequence[Path]) -> Labels | str:
    """The labels of an evaluated data set, or one line that says why they are unknown.

    Never downloads: without ``data_dir`` only a data set that comes with an installed package is read.
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
    """The labels of a loaded data set, if it is the evaluated one. Class names that repeat get their number."""
    if dataset.fingerprint != record.fingerprint:
        return f"the labels are not known: {dataset.name} [{dataset.fingerprint[:8]}] is not the one evaluated"
    names = dataset.classes
    apart = tuple(name if names.count(name) == 1 else f"{name} (class {i})" for i, name in enumerate(names))
    return Labels(dataset.test.labels.tolist(), apart)
