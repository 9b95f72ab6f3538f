"""The bundled digits, and the fingerprint that names a data set."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import torch

from harness.data.digits import Digits
from harness.plugin.dataset import Augmentation, Dataset, Split
from harness.plugin.network import Shape


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Digits().load(tmp_path_factory.mktemp("data"))


class TestDigits:
    def test_sizes_types_and_range(self, digits: Dataset) -> None:
        assert (len(digits.train), len(digits.test)) == (1437, 360)
        assert digits.shape == Shape(1, 8, 8, 10)
        assert (digits.levels, digits.augmentation) == (16, Augmentation(crop_padding=0, flip=False))
        for part in (digits.train, digits.test):
            assert (part.images.dtype, part.labels.dtype) == (torch.uint8, torch.int64)
        pixels = digits.pixels(digits.train.images)
        assert (pixels.min().item(), pixels.max().item()) == (0.0, 1.0)

    def test_both_parts_together_are_the_bundled_digits(self, digits: Dataset) -> None:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        expected = sorted((int(label), tuple(image.astype(int))) for image, label in zip(images, labels, strict=True))
        found = sorted(
            (int(label), tuple(image.flatten().tolist()))
            for part in (digits.train, digits.test)
            for image, label in zip(part.images, part.labels, strict=True)
        )
        assert found == expected

    def test_the_split_is_stratified_within_one_example_a_class(self, digits: Dataset) -> None:
        train, test = (torch.bincount(part.labels, minlength=10) for part in (digits.train, digits.test))
        assert (test - (train + test) * 360 / 1797).abs().max() < 1

    def test_a_fresh_process_splits_alike(self, digits: Dataset) -> None:
        program = (
            "from pathlib import Path; from harness.data.digits import Digits; print(Digits().load(Path()).fingerprint)"
        )
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == digits.fingerprint


class TestFingerprint:
    @pytest.fixture
    def dataset(self) -> Dataset:
        images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
        part = Split(images, torch.tensor([0, 1]))
        return Dataset("tiny", part, part, ("a", "b"))

    def test_a_copy_has_the_same_whatever_its_name(self, dataset: Dataset) -> None:
        train = Split(dataset.train.images.clone(), dataset.train.labels.clone())
        assert dataclasses.replace(dataset, name="other", train=train).fingerprint == dataset.fingerprint

    @pytest.mark.parametrize("part", ["train", "test"])
    @pytest.mark.parametrize("tensor", ["images", "labels"])
    def test_one_pixel_or_one_label_changes_it(self, dataset: Dataset, part: str, tensor: str) -> None:
        old: Split = getattr(dataset, part)
        value = getattr(old, tensor).clone()
        value.view(-1)[-1] ^= 1
        new = dataclasses.replace(old, **{tensor: value})
        changed = dataclasses.replace(dataset, train=new) if part == "train" else dataclasses.replace(dataset, test=new)
        assert changed.fingerprint != dataset.fingerprint
