"""MNIST and the data sets in its format: IDX files in gzip."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.data._torchvision import Download, fetch_missing
from harness.errors import DataError
from harness.plugin.dataset import Split

FILES = {  # part -> images, labels
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


def idx_downloads(published: Any, sha256: Mapping[str, str]) -> list[Download]:
    """What is downloaded of a class of torchvision's, to where torchvision keeps it.

    Args:
        sha256: of each file, by its name.
    """
    folder, mirror = f"{published.__name__}/raw", published.mirrors[0]
    return [Download(f"{mirror}{name}", f"{folder}/{name}", md5, sha256[name]) for name, md5 in published.resources]


def read_parts(published: Any, sha256: Mapping[str, str], data_dir: Path) -> tuple[Split, Split]:
    """The training and the test part: images ``(n, 1, height, width)`` uint8.

    Raises:
        DataError: a file is corrupt, or a download failed.
    """
    fetch_missing(data_dir, idx_downloads(published, sha256))
    raw = data_dir / published.__name__ / "raw"
    train, test = (
        Split(_read(raw / images, 3)[:, None], _read(raw / labels, 1).to(torch.int64))
        for images, labels in FILES.values()
    )
    return train, test


def _read(file: Path, dimensions: int) -> Tensor:
    """An IDX file of bytes: two zeros, the type 8, the number of dimensions, each extent in four bytes, the values."""
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {file}: it is no whole gzip file; delete it, and run again") from error
    start = 4 + 4 * dimensions
    extents = [int.from_bytes(content[place : place + 4], "big") for place in range(4, start, 4)]
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) != start + math.prod(extents):
        raise DataError(f"cannot read {file}: it is no IDX file of {dimensions} dimensions; delete it, and run again")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(extents).copy())
