"""Tiny ImageNet, from a folder of a few images in the layout of its archive."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.data.tiny_imagenet import TinyImageNet
from harness.plugin.dataset import Augmentation
from tests.harness.data.pixels import noise, refusal

WORDS = "n02\tgoldfish, Carassius auratus\nn01\tcrane\nn03\tcrane\nn99\tnot of these"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes of two images; the validation images are listed in another order than their names'."""
    monkeypatch.setattr("harness.data.tiny_imagenet.IMAGES", {"train": 6, "test": 4})
    root = tmp_path / "tiny-imagenet-200"
    for number in ("n01", "n02", "n03"):
        (root / "train" / number / "images").mkdir(parents=True)
        (root / "train" / number / f"{number}_boxes.txt").touch()
        for place in range(2):
            pixels = noise(int(number[1:]) * 2 + place, 64, 64, 3)
            Image.fromarray(pixels).save(root / "train" / number / "images" / f"{number}_{place}.png")
    (root / "train" / ".DS_Store").touch()
    (root / "train" / "n01" / "images" / "._n01_0.png").touch()
    (root / "val" / "images").mkdir(parents=True)
    for place in range(4):
        Image.fromarray(noise(90 + place, 64, 64, 3)).save(root / "val" / "images" / f"val_{place}.png")
    lines = [
        f"val_{place}.png\t{number}\t0\t0\t9\t9" for place, number in ((3, "n01"), (0, "n02"), (2, "n01"), (1, "n03"))
    ]
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (root / "words.txt").write_text(WORDS)
    (root / "wnids.txt").write_text("n03\nn01\nn02\n")
    return root


def test_pixels_labels_and_names(root: Path, tmp_path: Path) -> None:
    assert TinyImageNet().here(tmp_path)
    for _ in range(2):  # decoded, then from the cache
        data = TinyImageNet().load(tmp_path)
        assert data.classes == ("crane (n01)", "goldfish", "crane (n03)")
        assert data.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert data.test.labels.tolist() == [0, 0, 1, 2]
        train = torch.stack([torch.from_numpy(noise(seed, 64, 64, 3)).permute(2, 0, 1) for seed in range(2, 8)])
        test = torch.stack([torch.from_numpy(noise(90 + place, 64, 64, 3)).permute(2, 0, 1) for place in (2, 3, 0, 1)])
        assert torch.equal(data.train.images, train)
        assert torch.equal(data.test.images, test)
        assert (data.name, data.augmentation) == ("tiny-imagenet", Augmentation(crop_padding=4, flip=True))
    Image.fromarray(noise(7, 64, 64, 3)).save(root / "val" / "images" / "val_0.png")
    assert torch.equal(
        TinyImageNet().load(tmp_path).test.images[2].permute(1, 2, 0), torch.from_numpy(noise(7, 64, 64, 3))
    )


def test_what_is_refused(root: Path, tmp_path: Path) -> None:
    told = refusal(TinyImageNet(), tmp_path / "elsewhere")
    assert "get http://cs231n.stanford.edu/tiny-imagenet-200.zip, unpack it into" in told
    assert "--dataset digits" in told
    annotations = root / "val" / "val_annotations.txt"
    whole = annotations.read_text()
    for line in ("val_1.png\tn99\t0", "val_1.png", "../val_1.png\tn01"):
        annotations.write_text(f"{whole}{line}\n")
        assert "names no image and class" in refusal(TinyImageNet(), tmp_path)
    annotations.write_text(whole.replace("val_1.png", "val_9.png"))
    assert "val_9.png: No such file" in refusal(TinyImageNet(), tmp_path)
    annotations.write_text(whole)
    (root / "train" / "n02" / "images" / "n02_1.png").unlink()  # as an unpacking leaves it that was stopped
    assert "has 5 and 4 images to train and to test, not the published 6 and 4; unpack" in refusal(
        TinyImageNet(), tmp_path
    )
    annotations.unlink()
    assert "val_annotations.txt: No such file" in refusal(TinyImageNet(), tmp_path)
