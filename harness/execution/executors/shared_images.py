"""A data set in memory that the workers of this machine share: loaded once, by the command.

To load images may take a minute, and a library that takes seconds to import; and each worker would hold a copy.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from harness.execution.loaded import forget_dataset, keep_dataset, kept_dataset
from harness.execution.work import Work
from harness.identity import digest
from harness.plugin.dataset import Dataset, Split

Arrays = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
"""Images and labels of each part of a data set."""


def arrays_of(dataset: Dataset) -> tuple[Dataset, Arrays]:
    """A data set in two: all but its images and labels, and these as arrays."""
    parts = {"train": dataset.train, "test": dataset.test}
    if dataset.extra is not None:
        parts["extra"] = dataset.extra
    none = Split(dataset.test.images[:0].cpu().clone(), dataset.test.labels[:0].cpu().clone())
    arrays = {name: (part.images.cpu().numpy(), part.labels.cpu().numpy()) for name, part in parts.items()}
    return replace(dataset, train=none, test=none, extra=None), arrays


def dataset_with(outline: Dataset, arrays: Arrays) -> Dataset:
    """What ``arrays_of`` took apart; the arrays may lie in memory that nobody may write to."""
    with warnings.catch_warnings(action="ignore"):  # torch warns of such memory
        parts = {name: Split(*map(torch.from_numpy, both)) for name, both in arrays.items()}
    return replace(outline, train=parts["train"], test=parts["test"], extra=parts.get("extra"))


@dataclass(frozen=True)
class ArrayPlace:
    """Where an array lies in the shared memory, and how.

    Attributes:
        axes: of the array, in the order in which its numbers follow each other. Channels that come last stay last: a
            network of convolutions rounds by it.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[int, ...]

    def array(self, file: str) -> NDArray[Any]:
        """The array; what this process writes to it, it alone sees."""
        if not prod(self.shape):
            return np.empty(self.shape, self.dtype)
        lying = tuple(self.shape[axis] for axis in self.axes)
        return np.memmap(file, self.dtype, "c", self.offset, lying).transpose(np.argsort(self.axes))


@dataclass(frozen=True)
class InMemory:
    """Names a data set in shared memory: a file of the command's that has no name on the disk, and ends with it."""

    file: str
    outline: Dataset
    places: Mapping[str, tuple[ArrayPlace, ArrayPlace]]

    def read(self) -> Dataset:
        """The data set. Its images stay where they are; what this process writes to them, it alone sees.

        Raises:
            OSError: this process may not open the memory.
        """
        arrays = {part: (x.array(self.file), y.array(self.file)) for part, (x, y) in self.places.items()}
        return dataset_with(self.outline, arrays)


class SharedImages:
    """The data sets of a command's items, each put into shared memory when a worker first needs it.

    Each stays until ``close``: a worker that has its name, and is slow to open it, must not find another there.
    """

    def __init__(self) -> None:
        self._held: dict[str, InMemory | None] = {}
        self._files: list[int] = []

    def of(self, work: Work) -> InMemory | None:
        """Where the data set of an item is; None: there is none to share, and the worker loads it for itself."""
        dataset = kept_dataset(work.place)
        if dataset is None or not hasattr(os, "memfd_create"):
            return None
        key = digest([work.place.key, dataset.fingerprint, dataset.extra_sha256])
        if key not in self._held:
            self._held[key] = None
            with contextlib.suppress(OSError):  # too little memory
                self._held[key] = self._written(dataset)
        return self._held[key]

    def _written(self, dataset: Dataset) -> InMemory:
        outline, arrays = arrays_of(dataset)
        number = os.memfd_create("harness-images")
        try:
            with os.fdopen(number, "wb", closefd=False) as file:
                places = {part: (_put(images, file), _put(labels, file)) for part, (images, labels) in arrays.items()}
        except OSError:
            os.close(number)
            raise
        self._files.append(number)
        return InMemory(f"/proc/{os.getpid()}/fd/{number}", outline, places)

    def close(self) -> None:
        """Let go of the memory; a worker that has opened it keeps it."""
        for number in self._files:
            os.close(number)
        self._held, self._files = {}, []


def _put(array: NDArray[Any], file: BinaryIO) -> ArrayPlace:
    axes = tuple(sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], -array.shape[axis])))
    file.write(bytes(-file.tell() % 64))
    begins = file.tell()
    file.write(np.ascontiguousarray(array.transpose(axes)).data)
    return ArrayPlace(begins, array.shape, array.dtype.str, axes)


def take_images(work: Work, images: InMemory | None) -> None:
    """In a worker: have an item find its data set in the shared memory, if it is there."""
    if images is not None and kept_dataset(work.place) is None:
        forget_dataset()
        with contextlib.suppress(OSError):
            keep_dataset(work.place, images.read())
