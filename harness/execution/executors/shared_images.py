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
from typing import Any

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
    none = Split(dataset.test.images[:0].cpu().clone(), dataset.test.labels[:0].cpu().clone())
    arrays = {name: (part.images.cpu().numpy(), part.labels.cpu().numpy()) for name, part in parts.items()}
    return replace(dataset, train=none, test=none), arrays


def dataset_with(outline: Dataset, arrays: Arrays) -> Dataset:
    """What ``arrays_of`` took apart; the arrays may lie in memory that nobody may write to."""
    with warnings.catch_warnings(action="ignore"):  # torch warns of such memory
        parts = {name: Split(*map(torch.from_numpy, both)) for name, both in arrays.items()}
    return replace(outline, train=parts["train"], test=parts["test"])


@dataclass(frozen=True)
class ArrayPlace:
    """Where an array lies in the shared memory."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class InMemory:
    """Names a data set in shared memory: a file of the command's that has no name on the disk, and ends with it."""

    key: str
    file: str
    outline: Dataset
    places: Mapping[str, tuple[ArrayPlace, ArrayPlace]]

    def read(self) -> Dataset:
        """The data set. Its images stay where they are; what this process writes to them, it alone sees.

        Raises:
            OSError: this process may not open the memory.
        """

        def array(place: ArrayPlace) -> NDArray[Any]:
            if not prod(place.shape):
                return np.empty(place.shape, place.dtype)
            return np.memmap(self.file, place.dtype, "c", place.offset, place.shape)

        return dataset_with(self.outline, {part: (array(x), array(y)) for part, (x, y) in self.places.items()})


class SharedImages:
    """The data set of the items that are handed out now, put into shared memory when a worker first needs it."""

    def __init__(self) -> None:
        self._held: InMemory | None = None
        self._file: int | None = None

    def of(self, work: Work) -> InMemory | None:
        """Where the data set of an item is; None: there is none to share, and the worker loads it for itself."""
        dataset = kept_dataset(work.place)
        if dataset is None or not hasattr(os, "memfd_create"):
            return None
        key = digest([work.place.key, dataset.fingerprint])
        if self._held is None or self._held.key != key:
            self.close()
            with contextlib.suppress(OSError):  # too little memory
                self._held = self._written(key, dataset)
        return self._held

    def _written(self, key: str, dataset: Dataset) -> InMemory:
        outline, arrays = arrays_of(dataset)
        self._file = os.memfd_create("harness-images")
        with os.fdopen(self._file, "wb", closefd=False) as file:

            def place(array: NDArray[Any]) -> ArrayPlace:
                file.write(bytes(-file.tell() % 64))
                begins = file.tell()
                file.write(np.ascontiguousarray(array).data)
                return ArrayPlace(begins, array.shape, array.dtype.str)

            places = {part: (place(images), place(labels)) for part, (images, labels) in arrays.items()}
        return InMemory(key, f"/proc/{os.getpid()}/fd/{self._file}", outline, places)

    def close(self) -> None:
        """Let go of the memory; a worker that has opened it keeps it."""
        if self._file is not None:
            os.close(self._file)
        self._held = self._file = None


def take_images(work: Work, images: InMemory | None) -> None:
    """In a worker: have an item find its data set in the shared memory, if it is there."""
    if images is not None and kept_dataset(work.place) is None:
        forget_dataset()
        with contextlib.suppress(OSError):
            keep_dataset(work.place, images.read())
