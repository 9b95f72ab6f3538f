"""Images and labels in one NumPy archive, such as Keras' ``mnist.npz``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Doc

from harness.errors import DataError, listed, normal, one_line
from harness.files import expanded, resolved, why_no_file
from harness.plugin.dataset import Dataset, DataSource, Split

KEYS = (  # images and labels to train, images and labels to test
    ("x_train", "y_train", "x_test", "y_test"),  # Keras
    ("train_images", "train_labels", "test_images", "test_labels"),  # MedMNIST
)
CHANNELS = (1, 3)
MOST_CLASSES = 10_000  # a label above it is no class


@dataclass(frozen=True, kw_only=True)
class NPZ(DataSource):
    """Your own images in a NumPy archive with ``x_train``, ``y_train``, ``x_test``, ``y_test`` (as Keras' mnist.npz).

    ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` will do, too. Images are uint8, ``(n, height,
    width)`` if grey, else with one or three channels last or first. Labels are integers from 0, ``(n,)`` or ``(n, 1)``;
    the classes are named by their numbers. Objects in the archive are never unpickled. No augmentation: harness does
    not know whether a mirrored image is still of its class.
    """

    argument: ClassVar[str | None] = "path"

    path: Annotated[str, Doc("the .npz file")]

    def load(self, data_dir: Path) -> Dataset:
        file = resolved(expanded(self.path))
        arrays = _arrays(file)
        keys = next((names for names in KEYS if all(name in arrays for name in names)), None)
        if keys is None:
            raise DataError(f"{file} has {listed(sorted(arrays)) or 'no arrays'}; it must have {', '.join(KEYS[0])}")
        x_train, y_train, x_test, y_test = keys
        train, test = (
            Split(_images(file, images, arrays[images]), _labels(file, labels, arrays[labels]))
            for images, labels in ((x_train, y_train), (x_test, y_test))
        )
        for images, part in ((x_train, train), (x_test, test)):
            if len(part.images) != len(part.labels):
                raise DataError(f"{file} has {len(part.images)} images and {len(part.labels)} labels in {images}")
        if train.images.shape[1:] != test.images.shape[1:]:
            shapes = " and ".join("x".join(map(str, part.images.shape[1:])) for part in (train, test))
            raise DataError(f"the images of {file} differ in shape: {shapes}; make all of one size and channels")
        count = int(max(train.labels.max(), test.labels.max())) + 1
        if lacking := sorted(set(range(count)) - set(train.labels.tolist())):
            raise DataError(f"{file} has no training image of class {lacking[0]}; classes are numbered from 0 on")
        return Dataset(f"npz:{normal(file.stem)}", train, test, tuple(map(str, range(count))))


def _arrays(file: Path) -> Mapping[str, Any]:
    if reason := why_no_file(file):
        raise DataError(f"cannot read {file}: it {reason}; give a .npz file with {', '.join(KEYS[0])}")
    wanted = {name for names in KEYS for name in names}
    try:
        with file.open("rb") as content:  # closed whatever numpy makes of it
            opened = np.load(content, allow_pickle=False)
            if not isinstance(opened, np.lib.npyio.NpzFile):
                raise DataError(f"cannot read {file}: it is one array, and no .npz archive of several")
            with opened as archive:
                arrays = {name: archive[name] if name in wanted else None for name in archive.files}
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"the arrays of {file} do not fit into the memory; make them smaller") from None
    except Exception as error:  # numpy and zipfile raise all kinds of exceptions for a damaged file
        told = "it holds Python objects, which are never unpickled" if "allow_pickle" in str(error) else one_line(error)
        raise DataError(f"cannot read {file}: {told}; save it with numpy.savez, from arrays of numbers") from error
    for name in sorted(wanted & arrays.keys()):
        if not isinstance(arrays[name], np.ndarray):  # numpy gives the bytes of what is no array
            raise DataError(f"cannot read {file}: its {name} is no array; save it with numpy.savez")
    return arrays


def _images(file: Path, name: str, array: Any) -> Tensor:
    """``(n, channels, height, width)``, from any of the layouts that are taken."""
    shape = "x".join(map(str, array.shape))
    if array.dtype != np.uint8:
        raise DataError(f"{name} of {file} is {array.dtype}; give uint8 levels, 0 to 255")
    if array.ndim not in (3, 4) or not array.size:
        raise DataError(f"{name} of {file} is {shape}; give (n, height, width) or (n, height, width, channels)")
    if array.ndim == 3:
        return torch.from_numpy(np.ascontiguousarray(array[:, None]))
    last, first = array.shape[3] in CHANNELS, array.shape[1] in CHANNELS
    if last == first:
        told = "channels may be first or last" if last else "neither its first nor its last axis has one or three"
        raise DataError(f"{name} of {file} is {shape}: {told}; give (n, height, width, channels), 1 or 3 channels")
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2) if last else array))


def _labels(file: Path, name: str, array: Any) -> Tensor:
    shape = "x".join(map(str, array.shape))
    if array.dtype.kind not in "iu" or not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise DataError(f"{name} of {file} is {array.dtype}, {shape}; give one integer an image, (n,)")
    if not array.size or not 0 <= int(array.min()) <= int(array.max()) < MOST_CLASSES:
        told = f"labels from {array.min()} to {array.max()}" if array.size else "no labels"
        raise DataError(f"{name} of {file} has {told}; classes count from 0")
    return torch.from_numpy(array.reshape(-1).astype(np.int64))
