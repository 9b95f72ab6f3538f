"""A folder of class folders: pixels, the cache, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from harness.data.folder import Folder
from harness.errors import SettingError
from harness.plugin.dataset import Augmentation
from harness.plugin.network import Shape
from tests.harness.data.pixels import Pixels, noise, refusal, tree


def save(path: Path, pixels: Pixels, **options: Any) -> None:
    """Write ``(height, width)`` grey or ``(height, width, channels)`` pixels in the format the name ends with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


PLACES = [(part, name) for part in ("train", "test") for name in ("ant", "bee")]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, of one image each and part, as 6x5 PNG."""
    root = tmp_path / "photos"
    for seed, (part, name) in enumerate(PLACES):
        save(root / part / name / "0.png", noise(seed, 5, 6, 3))
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "data"


def channels_first(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A context in which an image that is opened fails the test."""

    def fail(path: Path) -> None:
        raise AssertionError(f"{path} was decoded")

    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", fail)
        yield


class TestFolder:
    def test_pixels_labels_and_names(self, photos: Path, cache: Path) -> None:
        dataset = Folder(path=str(photos)).load(cache)
        assert (dataset.name, dataset.classes, dataset.levels) == ("folder:photos", ("ant", "bee"), 255)
        assert dataset.shape == Shape(3, 5, 6, 2)
        assert dataset.augmentation == Augmentation(crop_padding=4, flip=True)
        for part, split, seeds in (("train", dataset.train, (0, 1)), ("test", dataset.test, (2, 3))):
            expected = torch.stack([channels_first(noise(seed, 5, 6, 3)) for seed in seeds])
            assert torch.equal(split.images, expected), part
            assert split.images.dtype == torch.uint8
            assert split.labels.tolist() == [0, 1]
            assert split.labels.dtype == torch.int64

    def test_examples_are_sorted_by_class_then_by_name(self, photos: Path, cache: Path) -> None:
        for value, name in ((30, "bee/9.png"), (10, "ant/b.png"), (40, "bee/a.png"), (20, "bee/10.png")):
            save(photos / "train" / name, np.full((5, 6, 3), value, np.uint8))  # created in no order
        for name in ("ant/0.png", "bee/0.png"):
            (photos / "train" / name).unlink()
        train = Folder(path=str(photos)).load(cache).train
        assert train.images[:, 0, 0, 0].tolist() == [10, 20, 30, 40]  # "10.png" sorts before "9.png"
        assert train.labels.tolist() == [0, 1, 1, 1]

    def test_jpeg_is_read_as_pillow_reads_it(self, photos: Path, cache: Path) -> None:
        smooth = np.add.outer(np.arange(5), np.arange(6)).astype(np.uint8)[..., None] * np.array([20, 10, 5], np.uint8)
        save(photos / "test" / "bee" / "1.jpg", smooth, quality=100, subsampling=0)
        found = Folder(path=str(photos)).load(cache).test.images[-1]
        assert (found.int() - channels_first(smooth).int()).abs().max() <= 3  # what JPEG rounds at quality 100

    @pytest.mark.parametrize("extension", ["png", "bmp", "tiff", "webp"])
    def test_lossless_formats_come_back_exactly(self, photos: Path, cache: Path, extension: str) -> None:
        pixels = noise(9, 5, 6, 3)
        save(photos / "train" / "ant" / f"1.{extension}", pixels, **({"lossless": True} if extension == "webp" else {}))
        assert torch.equal(Folder(path=str(photos)).load(cache).train.images[1], channels_first(pixels))

    def test_grey_is_repeated_and_transparency_dropped(self, photos: Path, cache: Path) -> None:
        grey, clear = noise(7, 5, 6), noise(8, 5, 6, 4)
        save(photos / "train" / "ant" / "1.png", grey)
        save(photos / "train" / "ant" / "2.png", clear)
        images = Folder(path=str(photos)).load(cache).train.images
        assert torch.equal(images[1], torch.from_numpy(grey).expand(3, 5, 6))
        assert torch.equal(images[2], channels_first(clear[..., :3]))

    def test_image_size_crops_the_central_square_and_resizes_it(self, photos: Path, cache: Path) -> None:
        wide = Image.new("RGB", (40, 20), "red")
        ImageDraw.Draw(wide).rectangle((10, 0, 29, 19), fill="blue")  # the central square, and nothing outside it
        wide.save(photos / "train" / "ant" / "wide.png")
        wide.rotate(90, expand=True).save(photos / "train" / "ant" / "tall.png")
        square = noise(5, 8, 8, 3)
        save(photos / "train" / "ant" / "z.png", square)
        dataset = Folder(path=str(photos), image_size=8).load(cache)
        assert dataset.shape == Shape(3, 8, 8, 2)
        blue = torch.tensor([0, 0, 255], dtype=torch.uint8).view(3, 1, 1).expand(3, 8, 8)
        assert torch.equal(dataset.train.images[1], blue)
        assert torch.equal(dataset.train.images[2], blue)
        assert torch.equal(dataset.train.images[3], channels_first(square))  # of that size already: untouched

    def test_names_with_a_dot_in_front_are_skipped(self, photos: Path, cache: Path) -> None:
        expected = Folder(path=str(photos)).load(cache).fingerprint
        (photos / "train" / "ant" / ".DS_Store").write_bytes(b"no image")
        (photos / "train" / ".checkpoints").mkdir()
        (photos / "train" / "readme.txt").write_text("no class")
        assert Folder(path=str(photos)).load(cache).fingerprint == expected

    def test_a_fresh_process_reads_the_same(self, photos: Path, cache: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from harness.data.folder import Folder; "
            "print(Folder(path=sys.argv[1]).load(Path(sys.argv[2])).fingerprint)"
        )
        command = [sys.executable, "-c", program, str(photos), str(cache.with_name("other"))]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        assert result.stdout.strip() == Folder(path=str(photos)).load(cache).fingerprint

    @pytest.mark.parametrize("value", [-1, 1.5, "big"])
    def test_a_wrong_image_size_is_refused(self, value: Any) -> None:
        with pytest.raises(SettingError, match="image_size"):
            Folder(path="photos", image_size=value)


class TestFolderCache:
    def test_a_second_load_decodes_nothing(
        self, photos: Path, cache: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = Folder(path=str(photos)).load(cache)
        stored = tree(cache)
        assert len(stored) == 2  # the folder and one file
        request.getfixturevalue("no_decoding")
        assert Folder(path=str(photos)).load(cache).fingerprint == first.fingerprint
        monkeypatch.chdir(photos.parent)
        assert Folder(path="photos/../photos").load(cache).fingerprint == first.fingerprint  # one path, two spellings
        assert tree(cache) == stored

    def test_a_changed_file_is_decoded_again(self, photos: Path, cache: Path) -> None:
        first = Folder(path=str(photos)).load(cache)
        black = np.zeros((5, 6, 3), np.uint8)
        save(photos / "test" / "bee" / "0.png", black)
        second = Folder(path=str(photos)).load(cache)
        assert torch.equal(second.test.images[1], channels_first(black))
        assert torch.equal(second.train.images, first.train.images)

    def test_a_change_that_keeps_size_and_time_is_seen(self, photos: Path, cache: Path) -> None:
        path = photos / "train" / "ant" / "0.bmp"
        save(path, noise(50, 5, 6, 3))
        os.utime(path, ns=(0, 0))
        Folder(path=str(photos)).load(cache)
        changed = path.stat().st_ctime_ns
        save(path, noise(51, 5, 6, 3))  # BMP: the same number of bytes
        os.utime(path, ns=(0, 0))  # what unpacking an archive does
        while path.stat().st_ctime_ns == changed:  # until the file system's clock ticks
            os.utime(path, ns=(0, 0))
        assert torch.equal(Folder(path=str(photos)).load(cache).train.images[0], channels_first(noise(51, 5, 6, 3)))

    def test_an_added_a_removed_and_a_renamed_file_are_seen(self, photos: Path, cache: Path) -> None:
        extra = photos / "train" / "bee" / "1.png"
        assert len(Folder(path=str(photos)).load(cache).train) == 2
        save(extra, noise(60, 5, 6, 3))
        assert Folder(path=str(photos)).load(cache).train.labels.tolist() == [0, 1, 1]
        extra.rename(photos / "train" / "ant" / "1.png")
        assert Folder(path=str(photos)).load(cache).train.labels.tolist() == [0, 0, 1]
        (photos / "train" / "ant" / "1.png").unlink()
        assert Folder(path=str(photos)).load(cache).train.labels.tolist() == [0, 1]

    def test_another_image_size_is_another_cache(self, photos: Path, cache: Path) -> None:
        for size in (3, 4, 3):
            assert Folder(path=str(photos), image_size=size).load(cache).shape == Shape(3, size, size, 2)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: b"garbage",
            lambda content: content[:-1],
            lambda content: content[:-1] + bytes([content[-1] ^ 1]),  # one bit of one pixel
            lambda content: content.replace(b"[2,3,5,6]", b"[2,3,6,5]"),  # the header
        ],
        ids=["empty", "garbage", "truncated", "one bit", "shape"],
    )
    def test_a_corrupt_cache_is_rebuilt(
        self, photos: Path, cache: Path, damage: Callable[[bytes], bytes], request: pytest.FixtureRequest
    ) -> None:
        first = Folder(path=str(photos)).load(cache)
        (file,) = (cache / "folder-cache").iterdir()
        content = file.read_bytes()
        assert damage(content) != content
        file.write_bytes(damage(content))
        assert Folder(path=str(photos)).load(cache).fingerprint == first.fingerprint
        assert list((cache / "folder-cache").iterdir()) == [file]
        request.getfixturevalue("no_decoding")
        assert Folder(path=str(photos)).load(cache).fingerprint == first.fingerprint


class TestFolderRefuses:
    """Each in one line, and with nothing written."""

    @pytest.fixture
    def refused(self, photos: Path, cache: Path) -> Iterator[Callable[[], str]]:
        yield lambda: refusal(Folder(path=str(photos)), cache)
        assert not cache.exists()

    def test_a_missing_path(self, tmp_path: Path, cache: Path) -> None:
        assert f"there is no folder {tmp_path / 'nowhere'}" in refusal(Folder(path=str(tmp_path / "nowhere")), cache)
        assert not cache.exists()

    @pytest.mark.parametrize("part", ["train", "test"])
    def test_a_missing_part(self, photos: Path, refused: Callable[[], str], part: str) -> None:
        (photos / part).rename(photos / "elsewhere")
        assert f"{photos} has no folder {part}/" in refused()

    def test_no_class(self, photos: Path, refused: Callable[[], str]) -> None:
        for name in ("ant", "bee"):
            (photos / "train" / name).rename(photos / name)
        assert f"{photos / 'train'} has no class folder; a data set needs at least 2" in refused()

    def test_one_class(self, photos: Path, refused: Callable[[], str]) -> None:
        (photos / "train" / "bee").rename(photos / "bee")
        assert f"{photos / 'train'} has only the class 'ant'; a data set needs at least 2" in refused()

    def test_different_classes(self, photos: Path, refused: Callable[[], str]) -> None:
        (photos / "test" / "bee").rename(photos / "test" / "cat")
        for name in "vwxyz":
            save(photos / "train" / name / "0.png", noise(0, 5, 6, 3))
        assert "only train/ has 'bee', 'v', 'w' and 3 more, only test/ has 'cat'" in refused()

    def test_a_class_without_images(self, photos: Path, refused: Callable[[], str]) -> None:
        (photos / "test" / "bee" / "0.png").unlink()
        assert f"{photos / 'test' / 'bee'} has no images" in refused()

    @pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
    def test_an_unreadable_image(self, photos: Path, refused: Callable[[], str], damage: str) -> None:
        path = photos / "test" / "ant" / "0.png"
        content = {"truncated": path.read_bytes()[:-40], "text": b"not an image\n", "empty": b""}[damage]
        path.write_bytes(content)
        assert f"cannot read the image {path}: " in refused()

    def test_a_broken_link(self, photos: Path, refused: Callable[[], str]) -> None:
        (photos / "train" / "ant" / "1.png").symlink_to("nowhere")
        assert f"cannot read {photos / 'train' / 'ant' / '1.png'}: No such file" in refused()

    def test_sixteen_bit_pixels(self, photos: Path, refused: Callable[[], str]) -> None:
        path = photos / "train" / "ant" / "0.png"
        Image.fromarray(np.full((5, 6), 1000, np.uint16)).save(path)
        assert f"{path} has more than 8 bits a pixel" in refused()

    def test_mixed_sizes(self, photos: Path, cache: Path, refused: Callable[[], str]) -> None:
        odd = photos / "test" / "ant" / "1.png"
        save(odd, noise(0, 7, 9, 3))
        message = refused()
        assert f"{photos / 'train' / 'ant' / '0.png'} is 6x5, {odd} is 9x7" in message
        assert "--image-size N" in message

    def test_the_first_of_several_bad_images_is_named(self, photos: Path, refused: Callable[[], str]) -> None:
        for index in range(1, 20):
            (photos / "train" / "bee" / f"{index:02}.png").write_bytes(b"no image")
        assert f"{photos / 'train' / 'bee' / '01.png'}" in refused()

    def test_an_unwritable_data_directory(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        message = refusal(Folder(path=str(photos)), tmp_path / "file")
        assert message.startswith(f"cannot write to {tmp_path / 'file' / 'folder-cache'}: Not a directory")

    def test_a_full_disk(self, refused: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        assert "No space left on device" in refused()
