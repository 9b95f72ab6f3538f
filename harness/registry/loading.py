"""Load a data set and check it, with the same checks as `harness check`, before anything uses it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch

from harness.errors import DataError, PluginError
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.registry.faults import blaming, fault
from harness.runtime.printing import prints_to
from harness.runtime.process import process_kept

LEAKED = 0.01  # a note is given if this share of the test images are training images, too; published sets have a few
DARK = 0.25  # a note is given if the brightest pixel is below this value (on the [0, 1] scale): ``levels`` seem wrong


def load(source: DataSource, data_dir: Path, *, evaluation_only: bool = False, limit: int | None = None) -> Dataset:
    """Load and check a data set.

    Args:
        evaluation_only: load only what an evaluation needs; the training part may then be empty.
        limit: how many test images the evaluation needs; None: all.
    Raises:
        DataError: the data set is missing or corrupt, or has one class.
        PluginError: the data set breaks its contract; names the plugin and its file.
    """
    with prints_to(sys.stderr), blaming([source]), process_kept():
        data = source.load_for_evaluation(data_dir, limit) if evaluation_only else source.load(data_dir)
    whole = not evaluation_only or type(source).load_for_evaluation is DataSource.load_for_evaluation
    problem = next(problems(data, trained=not evaluation_only, whole=whole), None)
    if problem is not None:
        raise fault(source, problem)
    if len(data.classes) < 2:  # no other class to have a margin to; the images are at fault, not the plugin
        raise DataError(
            f"{data.name} is refused: it has one class, {data.classes[0]}, and a network tells classes apart; give"
            " images of two classes or more"
        )
    return replace(data, notes=(*data.notes, *_notes(data)))


def unread(source: DataSource, fingerprint: str | None = None) -> Dataset:
    """A data set with the published sizes but without images, for estimating costs.

    Args:
        fingerprint: of the images, if it is known; else no stored work is on them.
    Raises:
        PluginError: the sizes are unknown until the data set is read.
    """
    if source.outline is None:
        raise PluginError(f"the sizes of {source.name} are not known without its images")
    (channels, height, width, classes), train, test = source.outline

    def part(count: int) -> Split:
        images = torch.empty((count, channels, height, width), dtype=torch.uint8, device="meta")
        return Split(images, torch.empty(count, dtype=torch.int64, device="meta"))

    done = "" if fingerprint is not None else ", and none of the work as done"
    note = f"its images are not here: counted as the published {train:,} and {test:,}{done}"
    names, identity = tuple(map(str, range(classes))), fingerprint or f"unread {source.name}"
    return Dataset(source.name, part(train), part(test), names, identified_by=identity, notes=(note,))


def problems(data: Any, *, trained: bool = True, whole: bool = True) -> Iterator[str]:
    """What is wrong with the object that a data set's plugin returned.

    Args:
        trained: check the training part, too.
        whole: the plugin was asked for all images; False: it may return a sample of the test images.
    """
    if type(data) is not Dataset:
        yield f"load returned a {type(data).__name__}; return a harness.plugin.dataset.Dataset"
        return
    kinds = list(_kind_problems(data))
    if kinds:
        yield from kinds
        return
    if whole and (data.sampled_from, data.identified_by) != (None, None):
        yield "load sets sampled_from or identified_by; only load_for_evaluation may return a part of the images"
    elif data.sampled_from is not None and data.sampled_from < len(data.test):
        yield f"sampled_from is {data.sampled_from}, and it gives {len(data.test)} test images"
    if len(set(data.classes)) < len(data.classes):
        yield "two of its classes have one name"
    parts = {"train": data.train, "test": data.test} if trained or len(data.train) else {"test": data.test}
    for name, part in parts.items():
        yield from image_problems(name, part, data.levels)
        yield from label_problems(name, part, len(data.classes))
    if len({tuple(part.images.shape[1:]) for part in parts.values()}) > 1:
        yield "train and test images differ in shape"
    if "train" in parts and len(torch.unique(data.train.labels)) < len(data.classes):
        yield "a class has no training image"


def _kind_problems(data: Any) -> Iterator[str]:
    """Fields of the wrong type; while there are any, no other check can run."""
    if not isinstance(data.name, str):
        yield "its name is not a string"
    if not isinstance(data.classes, tuple) or not all(isinstance(name, str) for name in data.classes):
        yield "its classes are not a tuple of strings; give their names, in the order of the labels"
    if not isinstance(data.levels, Real) or not 0 < float(data.levels) < math.inf:
        yield f"its levels are {data.levels!r}; give the pixel value that stands for 1.0, such as 255"
    given = data.augmentation
    padding = getattr(given, "crop_padding", None)
    if not isinstance(given, Augmentation) or not isinstance(padding, Integral) or padding < 0:
        yield f"its augmentation is {given!r}; give a harness.plugin.dataset.Augmentation, with crop_padding 0 or more"
    for name, part in (("train", data.train), ("test", data.test)):
        if not isinstance(part, Split):
            yield f"its {name} part is a {type(part).__name__}; give a harness.plugin.dataset.Split"
        elif not isinstance(part.labels, torch.Tensor):
            yield f"its {name} labels are a {type(part.labels).__name__}; give an int64 tensor"
        elif part.labels.dim() != 1:
            yield f"its {name} labels have shape {tuple(part.labels.shape)}; give (n,)"


def image_problems(name: str, part: Split, levels: int) -> Iterator[str]:
    """What is wrong with the images of a part."""
    images: Any = part.images
    if not isinstance(images, torch.Tensor):
        yield f"its {name} images are a {type(images).__name__}; give a tensor of uint8 levels"
    elif images.dtype != torch.uint8:
        yield f"its {name} images are {images.dtype}; give uint8 levels, which harness divides by levels"
    elif images.dim() != 4:
        yield f"its {name} images have shape {tuple(images.shape)}; give (n, channels, height, width)"
    elif not len(images):
        yield f"its {name} part is empty"
    elif images.shape[1] > 4 and images.shape[3] <= 4:
        yield f"its {name} images have shape {tuple(images.shape)}, channels last; give (n, channels, height, width)"
    elif len(images) != len(part.labels):
        yield f"its {name} part has {len(images)} images, {len(part.labels)} labels"
    elif int(images.max()) > levels:
        yield f"a {name} pixel is {int(images.max())}, above its levels, {levels}, which stand for 1.0"


def label_problems(name: str, part: Split, classes: int) -> Iterator[str]:
    """What is wrong with the labels of a part."""
    labels: Any = part.labels
    if labels.dtype != torch.int64:
        yield f"its {name} labels are {labels.dtype}; give int64"
    elif len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        low, high = int(labels.min()), int(labels.max())
        yield f"its {name} labels reach from {low} to {high}, and it has {classes} classes: they count from 0"


def _notes(data: Dataset) -> Iterator[str]:
    """Remarks on what is likely, but not certainly, a mistake."""
    brightest = int(data.test.images.max())
    if brightest < DARK * data.levels:
        yield f"the brightest test pixel is {brightest}, and {data.levels} is 1.0: is its levels too high?"
    leaked = _seen_in_training(data)
    if leaked and leaked >= LEAKED * len(data.test):
        yield (
            f"{leaked} of its {len(data.test)} test images are training images, too: a network may know them by heart,"
            " so that its figures say less about new ones"
        )
    present = len(torch.unique(data.test.labels))
    if present < len(data.classes) and data.sampled_from is None:
        yield f"only {present} of its {len(data.classes)} classes have test images"


def _seen_in_training(data: Dataset) -> int:
    """How many test images are also training images, pixel for pixel."""
    if not len(data.train):
        return 0
    seen = {hash(image.tobytes()) for image in data.train.images.cpu().numpy()}
    return sum(hash(image.tobytes()) in seen for image in data.test.images.cpu().numpy())
