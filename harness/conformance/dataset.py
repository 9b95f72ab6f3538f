"""What every data set must do. The checks load it, so its data must be on this machine."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from harness.conformance import ContractCheck, require
from harness.plugin.dataset import Dataset, DataSource
from harness.protocols.protocol import protocol_names
from harness.registry.loading import problems

DATA_DIR_VARIABLE = "HARNESS_DATA_DIR"


@cache
def _loaded(source: DataSource) -> Dataset:
    return source.load(Path(os.environ.get(DATA_DIR_VARIABLE, "data")))


def images(source: DataSource) -> None:
    for problem in problems(_loaded(source)):
        require(_about_labels(problem), problem)


def labels(source: DataSource) -> None:
    for problem in problems(_loaded(source)):
        require(not _about_labels(problem), problem)


def _about_labels(problem: str) -> bool:
    return "label" in problem or "class" in problem


def repeatable(source: DataSource) -> None:
    again = source.load(Path(os.environ.get(DATA_DIR_VARIABLE, "data")))
    require(again.fingerprint == _loaded(source).fingerprint, "two loads differ: sort files, draw no random numbers")


def declarations(source: DataSource) -> None:
    names = protocol_names()
    require(source.protocol in names, f"its protocol {source.protocol!r} is none of {', '.join(names)}")
    known = source.argument in {None, *(info.name for info in source.describe())}
    require(known, f"its argument {source.argument!r} is not a setting of it")


CHECKS: dict[str, ContractCheck] = {
    "its images are uint8 levels": images,
    "its labels are classes": labels,
    "it loads the same twice": repeatable,
    "it names its protocol and its argument": declarations,
}
