"""Files in a folder of images that are no images, or ask for too much: one line each, before anything is decoded."""

from __future__ import annotations

import io
import os
import socket
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from harness.data import _decoding
from harness.data._decoding import own_channels
from harness.data.folder import Folder
from harness.errors import DataError, HarnessError
from tests.harness.data.pixels import noise, refusal

ODD = Path("train/ant/odd.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, of one image each and part, as 6x5 PNG."""
    root = tmp_path / "photos"
    for place in ("train/ant", "train/bee", "test/ant", "test/bee"):
        (root / place).mkdir(parents=True)
        Image.fromarray(noise(0, 5, 6, 3)).save(root / place / "0.png")
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "data"


def png(width: int, height: int) -> bytes:
    """A PNG that says how large it is, in black and white, and holds a few bytes of it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def icon(inside: bytes) -> bytes:
    """An icon of 16x16, as its head says, that is the image inside."""
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inside), 22)
    return head + inside


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


class TestTooManyPixels:
    @pytest.mark.parametrize("width", [13_000, 50_000])  # Pillow itself warns of the first, and refuses the second
    @pytest.mark.parametrize("size", [0, 8])
    def test_a_bomb_is_refused_by_its_head(
        self, photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, width: int, size: int
    ) -> None:
        (photos / ODD).write_bytes(png(width, 13_000))
        own = ImageFile.ImageFile.load

        def load(image: ImageFile.ImageFile) -> Any:
            assert image.width < 13_000, "it was decoded"
            return own(image)

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        line = refusal(Folder(path=str(photos), image_size=size), cache)
        assert f"the image {photos / ODD} is refused: it has more than 67,108,864 pixels" in line
        assert not cache.exists()

    def test_one_in_an_icon_is_refused_too(self, photos: Path, cache: Path) -> None:
        (photos / ODD).write_bytes(icon(png(13_000, 13_000)))
        assert "more than 67,108,864 pixels" in refusal(Folder(path=str(photos)), cache)

    def test_the_limit_is_the_last_that_is_taken(
        self, photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_decoding, "MOST_PIXELS", 30)
        assert len(Folder(path=str(photos)).load(cache).train) == 2
        monkeypatch.setattr(_decoding, "MOST_PIXELS", 29)
        assert "is refused: it has more than 29 pixels" in refusal(Folder(path=str(photos)), cache / "other")

    def test_the_limit_of_others_is_put_back(self, photos: Path, cache: Path) -> None:
        before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
        Folder(path=str(photos)).load(cache)
        (photos / ODD).write_bytes(png(13_000, 13_000))
        refusal(Folder(path=str(photos)), cache)
        assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before

    def test_more_images_than_the_memory_holds(
        self, photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(np, "empty", full)
        assert "2 images of 6x5 do not fit into the memory" in refusal(Folder(path=str(photos)), cache)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(path))  # a socket's path may be no longer than 107 characters


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


class TestNoOrdinaryFile:
    """Read, a pipe would be waited for without an end, and so would a device."""

    @pytest.mark.parametrize("make", [_pipe, _socket, _device, Path.mkdir], ids=lambda make: make.__name__)
    @pytest.mark.parametrize("limit", [None, 1, 2])
    def test_is_refused(
        self,
        photos: Path,
        cache: Path,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[[Path], None],
        limit: int | None,
    ) -> None:
        place = photos / "test" / "ant" / "odd.png"
        monkeypatch.chdir(place.parent)
        make(place)
        with pytest.raises(DataError, match=r"odd\.png: it is (no ordinary file, but a pipe|a directory)") as caught:
            Folder(path=str(photos)).load_for_evaluation(cache, limit)
        assert str(place) in str(caught.value)
        assert not cache.exists()

    def test_a_link_to_an_image_is_taken(self, photos: Path, cache: Path) -> None:
        (photos / ODD).symlink_to(photos / "test" / "ant" / "0.png")
        assert len(Folder(path=str(photos)).load(cache).train) == 3

    @pytest.mark.parametrize("path", ["~no-such-user/x", "a" * 5000, "x/" * 3000, "loop", "fifo", "a\0b", "loop/x"])
    def test_a_folder_that_cannot_be_one(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        os.mkfifo("fifo")
        Path("loop").symlink_to("loop")
        for limit in (None, 2):
            with pytest.raises(HarnessError) as caught:
                Folder(path=path).load_for_evaluation(cache, limit)
            assert "\n" not in str(caught.value)


GREY = Image.fromarray(noise(1, 5, 6))
COLOUR = Image.fromarray(noise(1, 5, 6, 3))
FRAMES = [Image.fromarray(np.full((5, 6), value, np.uint8)) for value in (10, 200)]

TAKEN: dict[str, tuple[bytes, Image.Image]] = {
    "grey with transparency": (saved(GREY.convert("LA"), "PNG"), GREY),
    "black and white": (saved(GREY.convert("1"), "PNG"), GREY.convert("1")),
    "an animation": (saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), FRAMES[0]),
    "a palette with one clear colour": (saved(GREY.convert("P"), "PNG", transparency=3), GREY),
    "a palette with transparent colours": (saved(GREY.convert("P"), "PNG", transparency=bytes(range(256))), GREY),
    "CMYK": (saved(COLOUR.convert("CMYK"), "TIFF"), COLOUR),
    "of another format than its name says": (saved(COLOUR, "BMP"), COLOUR),
    "an icon": (icon(saved(COLOUR.resize((16, 16)), "PNG")), COLOUR.resize((16, 16))),
}

REFUSED = {
    "of no width": png(0, 5),
    "of no height": png(6, 0),
    "a width that is none": png(2**32 - 1, 1),
    "of 16 bits": saved(Image.fromarray(np.full((5, 6), 1000, np.uint16)), "PNG"),
    "of floating numbers": saved(Image.fromarray(np.zeros((5, 6), np.float32)), "TIFF"),
    "a program of PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 5\n%%EndComments\nshowpage\n%%EOF\n",
    "a text": b"not an image\n",
    "an animation that is cut": TAKEN["an animation"][0][:-30][:40],
    "one in the middle of which bytes are missing": saved(Image.fromarray(noise(2, 50, 60, 3)), "PNG")[:200],
}


@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.parametrize("name", ["odd.png", "odd.jpg", "odd"])
def test_an_odd_image_is_taken_as_it_says(photos: Path, cache: Path, kind: str, name: str) -> None:
    content, image = TAKEN[kind]
    for file in photos.rglob("0.png"):
        file.write_bytes(content)
    (photos / "test" / "ant" / name).write_bytes(content)
    images = Folder(path=str(photos), channels=3).load(cache).test.images
    expected = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(images[1], expected)


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("LA", 1), ("RGB", 3), ("P", 3), ("LAB", 3), ("CMYK", 3)]
)
def test_an_image_is_grey_by_its_mode(tmp_path: Path, mode: str, channels: int) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "first.png")
    Image.new(mode, (4, 4)).save(tmp_path / "odd.tif")
    (tmp_path / "damaged.png").write_bytes(b"no image")  # whoever decodes it is told; it has no colours
    assert own_channels([tmp_path / name for name in ("first.png", "damaged.png", "odd.tif")]) == channels


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused_in_one_line_that_names_it(photos: Path, cache: Path, kind: str) -> None:
    (photos / ODD).write_bytes(REFUSED[kind])
    assert str(photos / ODD) in refusal(Folder(path=str(photos)), cache)
    assert not cache.exists()


@pytest.mark.slow
def test_a_hundred_thousand_entries(photos: Path, cache: Path) -> None:
    whole = (photos / "test" / "ant" / "0.png").read_bytes()
    for number in range(100_000):
        (photos / "test" / "ant" / f"{number}.png").write_bytes(whole)
    data = Folder(path=str(photos)).load_for_evaluation(cache, 4)
    assert (len(data.test), data.sampled_from) == (4, 100_001)
