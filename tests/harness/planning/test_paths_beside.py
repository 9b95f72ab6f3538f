"""Data sets that a file names: their paths begin at the file's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.planning.configuration import dataset_beside


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("folder:images", "folder:/project/images"),
        ("npz:../mine.npz", "npz:/mine.npz"),
        ("npz:/data/mine.npz", "npz:/data/mine.npz"),
        ("npz:", "npz:"),
        ("cifar10", "cifar10"),
        ("mine:images", "mine:images"),
    ],
)
def test_a_path_begins_at_the_folder_of_its_file(text: str, meant: str) -> None:
    assert dataset_beside(text, Path("/project")) == meant
