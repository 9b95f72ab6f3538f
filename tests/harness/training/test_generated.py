"""Generated images: their part of each batch, which files are taken, and what identifies them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.errors import SettingError
from harness.execution.executors.shared_images import arrays_of, dataset_with
from harness.planning.grid_jobs import resolve_grid
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.plugin.dataset import Split
from harness.protocols.images_protocol import generated_in
from harness.registry.generated import with_extra
from harness.training.batches import epoch_batches
from tests.harness.training.given import dataset


def saved(folder: Path, n: int = 20, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "image": rng.integers(0, 256, (n, 8, 8, 1), dtype=np.uint8),
        "label": rng.integers(0, 4, n),
    }
    file = folder / "generated.npz"
    kept: dict[str, Any] = {name: value for name, value in (arrays | changes).items() if value is not None}
    np.savez(file, **kept)
    return file


def labels_of(part: Split) -> dict[bytes, int]:
    return {bytes(image.flatten().tolist()): int(y) for image, y in zip(part.images, part.labels, strict=True)}


def equal(one: Sequence[tuple[Tensor, Tensor]], two: Sequence[tuple[Tensor, Tensor]]) -> bool:
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, two, strict=True))


def test_each_batch_has_its_part_and_an_epoch_its_length(tmp_path: Path) -> None:
    data = with_extra(dataset(50), saved(tmp_path))
    assert data.extra is not None
    real = {
        bytes(image.flatten().tolist()): int(label) for image, label in zip(*vars(data.train).values(), strict=True)
    }
    other = {
        bytes(image.flatten().tolist()): int(label) for image, label in zip(*vars(data.extra).values(), strict=True)
    }
    assert real.keys().isdisjoint(other)
    how: dict[str, Any] = {"fraction": 0.7, "seed": 3, "epoch": 2}
    batches = list(epoch_batches(data, 16, **how))
    seen, drawn = list[bytes](), list[bytes]()
    for x, y in batches:
        known = [bytes((255 * image).round().to(torch.uint8).flatten().tolist()) for image in x]
        assert [(real | other)[image] for image in known] == y.tolist()
        seen += [image for image in known if image in real]
        drawn += [image for image in known if image in other]
    sizes = [len(y) for _, y in batches]
    assert sizes == [16, 16, 16, 2]
    assert len(drawn) == 12 + 12 + 12 + 2  # 0.3 of 16 is 4.8, of 2 is 0.6: rounded down
    assert len(seen) == len(set(seen)) == 12
    assert len(set(drawn)) > 10
    assert equal(batches[2:], list(epoch_batches(data, 16, **how, after=2)))
    assert equal(list(epoch_batches(data, 16, 3, 2)), list(epoch_batches(dataset(50), 16, 3, 2)))


@pytest.mark.parametrize(
    ("size", "fraction", "generated"), [(512, 0.7, 359), (1024, 0.8, 820), (10, 0.9, 9), (4, 0.5, 2)]
)
def test_the_part_of_a_batch_as_released_code_counts_it(size: int, fraction: float, generated: int) -> None:
    assert generated_in(size, fraction) == generated


def test_the_images_travel_with_the_data_set_and_their_content_names_them(tmp_path: Path) -> None:
    data = with_extra(dataset(50), saved(tmp_path))
    again = dataset_with(*pickle.loads(pickle.dumps(arrays_of(data))))
    assert again.extra is not None
    assert data.extra is not None
    assert torch.equal(again.extra.images, data.extra.images)
    assert torch.equal(again.extra.labels, data.extra.labels)
    assert again.extra_sha256 == data.extra_sha256 == data.to(torch.device("cpu")).extra_sha256
    contiguous = replace(data.extra, images=data.extra.images.contiguous())
    assert replace(data, extra=contiguous).extra_sha256 == data.extra_sha256
    assert data.fingerprint == dataset(50).fingerprint
    other = with_extra(dataset(50), saved(tmp_path, label=np.zeros(20, dtype=np.int64)))
    assert other.extra_sha256 != data.extra_sha256
    assert dataset_with(*arrays_of(dataset(50))).extra is None


def test_a_runs_identity_has_the_content_and_not_the_path(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    digits: dict[str, Any] = {"image": rng.integers(0, 17, (20, 8, 8, 1), dtype=np.uint8), "label": np.arange(20) % 10}
    (tmp_path / "there").mkdir()
    files = [saved(tmp_path, **digits), saved(tmp_path / "there", **digits)]
    files.append(saved(tmp_path / "there", **digits | {"label": np.arange(20) % 9}).rename(tmp_path / "other.npz"))
    saved(tmp_path / "there", **digits)

    def identity(*values: str) -> str:
        request = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", values=values)
        (job,) = resolve_run(request)
        (spec,) = job.specs
        assert spec.training.get("extra", "") == job.dataset.extra_sha256
        assert job.protocol.training_document == spec.training
        return spec.identity

    here, there, other = (identity(f"train.extra={file}") for file in files)
    assert here == there
    assert len({here, other, identity(), identity(f"train.extra={files[0]}", "train.extra_fraction=0.5")}) == 4

    values = (f"train.extra={files[0]}",)
    grid = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", values=values, grid=("lr=0.1,0.2,0.4",))
    first, *rest = resolve_grid(grid)
    assert all(job.dataset is first.dataset for job in rest)  # they may fill most of the memory: one copy
    assert first.dataset.extra_sha256 == first.specs[0].training["extra"]


LABELS = np.zeros(20, dtype=np.int64)
IMAGES = np.zeros((20, 8, 8, 1), dtype=np.uint8)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": None}, "it lacks image; it has label"),
        (
            {"image": IMAGES.astype(np.float32)},
            "image is float32 of shape (20, 8, 8, 1); noise needs uint8",
        ),
        ({"image": IMAGES.transpose(0, 3, 1, 2)}, "image is uint8 of shape (20, 1, 8, 8); noise needs"),
        ({"label": LABELS[:7]}, "label is int64 of shape (7,); give a whole number for each of the 20 images"),
        ({"label": LABELS.astype(np.float64)}, "label is float64"),
        ({"label": LABELS + 4}, "its labels go from 4 to 4, and noise has the classes 0 to 3"),
        ({"label": LABELS - 1}, "its labels go from -1 to -1"),
        ({"image": IMAGES[:0], "label": LABELS[:0]}, "it has no image"),
        ({"label": np.array([object()] * 20)}, "it is no .npz of plain arrays"),
    ],
)
def test_another_file_is_refused_in_one_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        with_extra(dataset(50), saved(tmp_path, **changes))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", IMAGES)
    for name, content in (("bytes", b"text"), ("header", b"\x93NUMPY\x01\x00\x10\x00{'descr': ((((((")):
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w") as archive:
            for member in ("image.npy", "label.npy"):
                archive.writestr(member, content)
        with pytest.raises(SettingError, match=r"no \.npz of"):
            with_extra(dataset(50), tmp_path / f"{name}.npz")
    for name, said in (("text.npz", "no .npz of"), ("one.npy", "it is one array"), ("none.npz", "cannot be read")):
        with pytest.raises(SettingError, match=said):
            with_extra(dataset(50), tmp_path / name)
    with pytest.raises(SettingError, match="a pixel has the value 255, and noise goes from 0 to 16"):
        with_extra(replace(dataset(50), levels=16), saved(tmp_path, image=IMAGES + 255))
