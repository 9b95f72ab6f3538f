"""A NumPy archive as a data set: its layouts, and what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.conformance.dataset import CHECKS
from harness.data.npz import NPZ
from harness.errors import DataError
from harness.plugin.dataset import Augmentation
from harness.registry.loading import load
from tests.harness.data.pixels import noise, refusal

Arrays = dict[str, Any]


def arrays(**changes: Any) -> Arrays:
    labels = np.array([2, 0, 1, 2], np.uint8)
    return {
        "x_train": noise(0, 4, 9, 8),
        "y_train": labels,
        "x_test": noise(1, 2, 9, 8),
        "y_test": labels[:2],
    } | changes


def written(folder: Path, content: Arrays) -> NPZ:
    np.savez(folder / "mine.npz", **content)
    return NPZ(path=str(folder / "mine.npz"))


def test_grey_images_as_keras_keeps_them(tmp_path: Path) -> None:
    source = written(tmp_path, arrays(more=np.zeros(3)))
    data = source.load(tmp_path)
    assert (data.name, data.classes, data.levels) == ("npz:mine", ("0", "1", "2"), 255)
    assert data.augmentation == Augmentation()
    assert torch.equal(data.train.images, torch.from_numpy(noise(0, 4, 9, 8))[:, None])
    assert torch.equal(data.test.images[:, 0], torch.from_numpy(noise(1, 2, 9, 8)))
    assert data.train.labels.tolist() == [2, 0, 1, 2]
    for check in CHECKS.values():
        check(source)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)], ids=["last", "first"])
def test_channels_last_or_first_are_the_same_images(tmp_path: Path, axes: tuple[int, ...]) -> None:
    x_train, x_test = noise(0, 4, 9, 8, 3), noise(1, 2, 9, 8, 3)
    names = {"train_images": x_train.transpose(axes), "test_images": x_test.transpose(axes)}
    labels = {"train_labels": np.array([[0], [1], [1], [0]]), "test_labels": np.array([[1], [0]])}
    data = written(tmp_path, names | labels).load(tmp_path)
    assert torch.equal(data.train.images.permute(0, 2, 3, 1), torch.from_numpy(x_train))
    assert torch.equal(data.test.images.permute(0, 2, 3, 1), torch.from_numpy(x_test))
    assert data.test.labels.tolist() == [1, 0]


REFUSED: dict[str, tuple[Arrays, str]] = {
    "floats": (arrays(x_test=np.zeros((2, 9, 8))), "x_test of {file} is float64; give uint8 levels, 0 to 255"),
    "one axis too few": (arrays(x_train=noise(0, 4, 72)), "is 4x72; give (n, height, width)"),
    "no channels": (arrays(x_train=noise(0, 4, 9, 8, 2)), "neither its first nor its last axis has one or three"),
    "either way": (arrays(x_train=noise(0, 4, 3, 8, 3)), "channels may be first or last"),
    "another size": (arrays(x_test=noise(1, 2, 8, 8)), "differ in shape: 1x9x8 and 1x8x8"),
    "fewer labels": (arrays(y_test=np.array([1])), "has 2 images and 1 labels in x_test"),
    "one-hot": (arrays(y_train=np.eye(3, dtype=int)[[0, 1, 2, 0]]), "is int64, 4x3; give one integer an image"),
    "a label below 0": (arrays(y_test=np.array([-1, 0])), "has labels from -1 to 0; classes count from 0"),
    "a class without images": (arrays(y_test=np.array([3, 0])), "has no training image of class 3"),
    "other names": ({"images": noise(0, 4, 9, 8)}, "has images; it must have x_train, y_train, x_test, y_test"),
    "objects": (arrays(y_test=np.array([None, {}])), "it holds Python objects, which are never unpickled"),
}


@pytest.mark.parametrize(("content", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path: Path, content: Arrays, told: str) -> None:
    source = written(tmp_path, content)
    assert told.format(file=tmp_path / "mine.npz") in refusal(source, tmp_path)


def archive_of(content: bytes, names: Iterable[str] = arrays()) -> bytes:
    with io.BytesIO() as held:
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(f"{name}.npy", content)
        return held.getvalue()


WHOLE = archive_of(bytes(range(200)))
DEFLATED = 30 + len("x_train.npy")  # where the content of the first entry begins
DAMAGED = {  # zipfile and numpy raise exceptions of many kinds
    "no array": archive_of(b"text"),
    "a header without an end": archive_of(b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((("),
    "damaged where it is compressed": WHOLE[:DEFLATED] + b"\xff" * 20 + WHOLE[DEFLATED + 20 :],
}


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    source = NPZ(path=str(file))
    assert f"cannot read {file}: it does not exist" in refusal(source, tmp_path)
    whole = written(tmp_path, arrays())
    content = file.read_bytes()
    for damaged in (b"", b"no archive", content[:200], content[:-30]):
        file.write_bytes(damaged)
        assert f"cannot read {file}: " in refusal(whole, tmp_path)
    for name, content in DAMAGED.items():
        file.write_bytes(content)
        assert f"cannot read {file}: " in refusal(whole, tmp_path), name
    with file.open("wb") as opened:
        np.save(opened, np.zeros(3))
    assert "it is one array, and no .npz archive" in refusal(whole, tmp_path)


def test_an_archive_of_one_class_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    source = written(tmp_path, arrays(y_train=np.zeros(4, np.uint8), y_test=np.zeros(2, np.uint8)))
    with pytest.raises(DataError, match=r"^npz:mine is refused: it has one class, 0, "):
        load(source, tmp_path)
