"""What every data set must do. Checked where its data are: it is loaded."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import torch

from harness.contracts import Check, require
from harness.dataset import Dataset, DataSource
from harness.protocol import protocol_names

DATA_DIR_VARIABLE = "HARNESS_DATA_DIR"


@cache
def _loaded(source: DataSource) -> Dataset:
    return source.load(Path(os.environ.get(DATA_DIR_VARIABLE, "data")))


def images(source: DataSource) -> None:
    data = _loaded(source)
    for name, part in (("train", data.train), ("test", data.test)):
        require(len(part) > 0, f"its {name} part is empty")
        require(part.images.dtype == torch.uint8, f"its {name} images are {part.images.dtype}; give uint8 levels")
        require(part.images.dim() == 4, f"its {name} images have shape {tuple(part.images.shape)}; give (n, c, h, w)")
        require(
            len(part.images) == len(part.labels), f"its {name} part has {len(part.images)} images, {len(part)} labels"
        )
        highest = int(part.images.max())
        require(highest <= data.levels, f"a {name} pixel is {highest}, and levels says {data.levels} is 1.0")
    require(data.train.images.shape[1:] == data.test.images.shape[1:], "train and test images differ in shape")


def labels(source: DataSource) -> None:
    data = _loaded(source)
    for name, part in (("train", data.train), ("test", data.test)):
        require(part.labels.dtype == torch.int64, f"its {name} labels are {part.labels.dtype}; give int64")
        low, high = int(part.labels.min()), int(part.labels.max())
        inside = low >= 0 and high < len(data.classes)
        require(inside, f"its {name} labels reach from {low} to {high}, and it has {len(data.classes)} classes")
    require(len(torch.unique(data.train.labels)) == len(data.classes), "a class has no training image")


def repeatable(source: DataSource) -> None:
    again = source.load(Path(os.environ.get(DATA_DIR_VARIABLE, "data")))
    require(again.fingerprint == _loaded(source).fingerprint, "loaded twice it differs: sort files, and draw nothing")


def declarations(source: DataSource) -> None:
    names = protocol_names()
    require(source.protocol in names, f"its protocol {source.protocol!r} is none of {', '.join(names)}")
    fields = {info.name for info in source.describe()}
    require(
        source.argument is None or source.argument in fields, f"its argument {source.argument!r} is no setting of it"
    )


CHECKS: dict[str, Check] = {
    "its images are uint8 levels": images,
    "its labels are classes": labels,
    "it loads the same twice": repeatable,
    "it names its protocol and its argument": declarations,
}
