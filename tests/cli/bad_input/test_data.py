"""Images that are missing, broken, or too few are refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from urllib.error import URLError

import pytest
from PIL import Image

from harness.planning.overrides import read_dataset
from harness.plugin.dataset import DataSource
from harness.registry.catalogue import discover, make
from tests.cli.conftest import Refused


def read_dataset_of(text: str) -> None:
    cls, values = read_dataset(discover("datasets"), text, {})
    cast(DataSource, make(cls, cls.name, values)).load(Path("data"))


class TestData:
    def test_a_corrupt_file_of_cifar10(self, refusal: Refused, elsewhere: Path) -> None:
        file = elsewhere / "data" / "cifar-10-batches-py" / "data_batch_1"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"half a file")
        line = refusal("run sat")
        for part in ("data/cifar-10-batches-py/data_batch_1 is corrupt", "delete it", "https://", "--dataset digits"):
            assert part in line

    @pytest.mark.parametrize(("dataset", "file"), [("cifar10", "data_batch_1"), ("svhn", "train_32x32.mat")])
    def test_a_download_that_fails(
        self, refusal: Refused, monkeypatch: pytest.MonkeyPatch, dataset: str, file: str
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise URLError("the name of the server is not known")

        monkeypatch.setattr("urllib.request.urlopen", fail)
        line = refusal(f"run sat --dataset {dataset} --data-dir somewhere")
        for part in (f"{file} is missing", "could not be fetched", "not known", "by hand", "--dataset digits"):
            assert part in line

    @pytest.mark.parametrize("dry", ["", " --dry-run"])
    def test_fewer_classes_than_an_attack_needs(self, refusal: Refused, elsewhere: Path, dry: str) -> None:
        for level, place in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
            (elsewhere / "two" / place).mkdir(parents=True)
            Image.new("RGB", (16, 16), (60 * level,) * 3).save(elsewhere / "two" / place / "1.png")
        read_dataset_of("folder:two")  # whose decoded images are kept: reading them is no part of the refusal
        told = "autoattack needs 4 classes or more, and folder:two has 2; type "
        line = refusal(f"run sat --arch smallcnn --dataset folder:two{dry}")
        assert told + "--attacks natural,pgd,cw,minimum-margin,apgd-ce,fab-t,square\n" in line
        line = refusal(
            f"run sat --arch smallcnn --dataset folder:two{dry} --set evaluation.attacks=natural,autoattack,apgd-ce"
        )
        assert told + "--attacks natural,apgd-ce,fab-t,square\n" in line
        line = refusal(f"reproduce table1 --arch smallcnn --dataset folder:two{dry}")
        assert told + "--attacks natural," in line
        if not dry:
            assert told + "--attacks natural,pgd,cw,minimum-margin,apgd-ce,fab-t,square\n" in refusal(
                "evaluate torch.nn:Identity --dataset folder:two"
            )
            line = refusal("evaluate torch.nn:Identity --dataset folder:two --attacks apgd-t,fgsm")
            assert "apgd-t needs 4 classes or more, and folder:two has 2; type --attacks natural,apgd-ce,fgsm" in line

    def test_a_folder_with_a_broken_image(self, refusal: Refused, elsewhere: Path) -> None:
        for part in ("train", "test"):
            for name in ("cat", "dog"):
                (elsewhere / "photos" / part / name).mkdir(parents=True)
                (elsewhere / "photos" / part / name / "1.png").write_bytes(b"no image")
        line = refusal("run sat --arch smallcnn --dataset folder:photos")
        assert "cannot read the image" in line
        assert "photos/train/cat/1.png" in line
