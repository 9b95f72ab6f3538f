"""Data sets: the pixels and labels that were put in come out, and what cannot be read is refused in one line."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import pickle
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.io import savemat
from torchvision import datasets

from harness.data.cifar10 import CIFAR10
from harness.data.digits import Digits
from harness.data.folder import Folder
from harness.data.svhn import SVHN
from harness.dataset import Augmentation, Dataset, DataSource, Split
from harness.errors import DataError, SettingError
from harness.network import Shape

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: the content of each file, None for a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def refusal(source: DataSource, data_dir: Path) -> str:
    """The one line with which a source refuses to load."""
    with pytest.raises(DataError) as caught:
        source.load(data_dir)
    message = str(caught.value)
    assert "\n" not in message
    return message


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


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass
class Server:
    """Stands for the network: answers ``urlopen`` with files, or with an error, at once or half-way."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    timeouts: set[float | None] = field(default_factory=set)
    error: Exception | None = None
    error_after: int = 0

    def open(self, request: Any) -> Response:
        self.asked.append(request.full_url)
        self.timeouts.add(socket.getdefaulttimeout())
        print("progress of a talkative downloader")
        if self.error is not None and not self.error_after:
            raise self.error
        return Response(request.full_url, self)


class Response(io.BytesIO):
    def __init__(self, url: str, server: Server) -> None:
        content = server.files[url.rpartition("/")[2]]
        super().__init__(content)
        self.url, self.length, self.server = url, len(content), server

    def read(self, size: int | None = -1, /) -> bytes:
        if self.server.error is None:
            return super().read(size)
        if self.tell() >= self.server.error_after:
            raise self.server.error
        return super().read(self.server.error_after)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(error=URLError("no network in tests"))
    monkeypatch.setattr("urllib.request.urlopen", server.open)
    return server


@dataclass
class Published:
    """A tiny data set in its published form, with the checksums that torchvision expects set to match."""

    source: DataSource
    files: dict[str, bytes]  # path below the data directory -> content
    downloads: dict[str, bytes]  # name on the server -> content
    train: Split
    test: Split
    first_file: str

    def put(self, data_dir: Path) -> None:
        for name, content in self.files.items():
            (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (data_dir / name).write_bytes(content)


def python2_pickle(document: dict[str, Any]) -> bytes:
    """As the published batches are: protocol 2, numpy's old module name, the dtype's flags as integers."""
    content = pickle.dumps(document, protocol=2)
    old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    return old.replace(b"\x89\x88\x87", b"K\x00K\x01\x87")  # dtype("u1", False, True) -> dtype("u1", 0, 1)


@pytest.fixture
def cifar10(monkeypatch: pytest.MonkeyPatch) -> Published:
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    images = {name: noise(seed, 4, 3, 32, 32) for seed, name in enumerate(names)}
    labels = {name: [(3 * seed + i) % 10 for i in range(4)] for seed, name in enumerate(names)}
    content = {
        name: python2_pickle({"batch_label": name, "data": images[name].reshape(4, 3072), "labels": labels[name]})
        for name in names
    }
    content["batches.meta"] = pickle.dumps({"label_names": [f"kind{i}" for i in range(10)], "num_vis": 3072}, 2)
    files = {f"cifar-10-batches-py/{name}": data for name, data in content.items()}
    archive = tar_gz(files)
    checksums = [[name, md5(content[name])] for name in names]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", checksums[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", checksums[5:])
    monkeypatch.setattr(datasets.CIFAR10, "meta", datasets.CIFAR10.meta | {"md5": md5(content["batches.meta"])})
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    train, test = (
        Split(
            torch.from_numpy(np.concatenate([images[name] for name in part])),
            torch.tensor([label for name in part for label in labels[name]]),
        )
        for part in (names[:5], names[5:])
    )
    return Published(
        CIFAR10(), files, {"cifar-10-python.tar.gz": archive}, train, test, "cifar-10-batches-py/data_batch_1"
    )


def tar_gz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def svhn(monkeypatch: pytest.MonkeyPatch) -> Published:
    files: dict[str, bytes] = {}
    splits: list[Split] = []
    lists = dict(datasets.SVHN.split_list)
    for seed, part in enumerate(("train", "test")):
        images = noise(seed, 12, 3, 32, 32)
        digits = np.arange(12) % 10
        buffer = io.BytesIO()
        published_labels = np.where(digits == 0, 10, digits).astype(np.uint8)  # 1 ... 10, where 10 is the digit zero
        savemat(buffer, {"X": images.transpose(2, 3, 1, 0), "y": published_labels[:, None]}, do_compression=True)
        name = f"{part}_32x32.mat"
        files[name] = buffer.getvalue()
        lists[part] = [lists[part][0], name, md5(files[name])]
        splits.append(Split(torch.from_numpy(images), torch.from_numpy(digits)))
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)
    return Published(SVHN(), files, files, splits[0], splits[1], "train_32x32.mat")


@pytest.fixture(params=["cifar10", "svhn"])
def published(request: pytest.FixtureRequest, server: Server) -> Published:
    result: Published = request.getfixturevalue(request.param)
    server.files = result.downloads
    return result


def assert_as_published(dataset: Dataset, published: Published) -> None:
    for found, expected in ((dataset.train, published.train), (dataset.test, published.test)):
        assert found.images.dtype == torch.uint8
        assert found.images.is_contiguous()
        assert torch.equal(found.images, expected.images)
        assert found.labels.dtype == torch.int64
        assert torch.equal(found.labels, expected.labels)


class TestPublished:
    """CIFAR-10 and SVHN, from tiny files in their true formats."""

    def test_pixels_channels_and_labels_are_those_in_the_files(self, published: Published, tmp_path: Path) -> None:
        published.put(tmp_path)
        before = tree(tmp_path)
        assert_as_published(published.source.load(tmp_path), published)
        assert tree(tmp_path) == before

    def test_fetches_what_is_missing_and_prints_no_result(
        self, published: Published, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.error = None
        dataset = published.source.load(tmp_path / "new" / "data")
        assert_as_published(dataset, published)
        assert capsys.readouterr().out == ""
        found = {name for name, content in tree(tmp_path / "new" / "data").items() if content is not None}
        assert found == set(published.files)  # neither the archive nor anything temporary
        server.asked.clear()
        assert published.source.load(tmp_path / "new" / "data").fingerprint == dataset.fingerprint
        assert server.asked == []

    def test_a_silent_server_is_given_up(self, published: Published, server: Server, tmp_path: Path) -> None:
        refusal(published.source, tmp_path)
        assert server.timeouts == {60.0}
        assert socket.getdefaulttimeout() is None  # as it was

    def test_one_missing_file_is_fetched_beside_the_others(
        self, published: Published, server: Server, tmp_path: Path
    ) -> None:
        server.error = None
        published.put(tmp_path)
        (tmp_path / published.first_file).unlink()
        assert_as_published(published.source.load(tmp_path), published)

    @pytest.mark.parametrize(
        ("error", "after"),
        [
            (URLError("unreachable"), 0),
            (TimeoutError("timed out"), 0),
            (TimeoutError("timed out"), 500),
            (ConnectionResetError(104, "Connection reset by peer"), 500),
        ],
        ids=["unreachable", "timeout", "timeout half-way", "reset half-way"],
    )
    def test_a_failed_download_is_refused_and_leaves_nothing(
        self, published: Published, server: Server, tmp_path: Path, error: Exception, after: int
    ) -> None:
        server.error, server.error_after = error, after
        message = refusal(published.source, tmp_path / "new" / "data")
        assert str(tmp_path / "new" / "data" / published.first_file) in message
        assert f"{next(iter(published.downloads))} could not be fetched" in message
        assert "--dataset digits" in message
        assert tree(tmp_path) == {}

    def test_a_failed_download_leaves_a_directory_as_it_was(
        self, published: Published, server: Server, tmp_path: Path
    ) -> None:
        published.put(tmp_path)
        (tmp_path / published.first_file).unlink()
        (tmp_path / "notes.txt").write_text("mine")
        before = tree(tmp_path)
        refusal(published.source, tmp_path)
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: content + b"!"])
    def test_a_download_with_another_checksum_is_refused(
        self, published: Published, server: Server, tmp_path: Path, damage: Callable[[bytes], bytes]
    ) -> None:
        server.error = None
        server.files = {name: damage(content) for name, content in published.downloads.items()}
        assert "could not be fetched: File not found or corrupted" in refusal(published.source, tmp_path / "data")
        assert tree(tmp_path) == {}

    def test_every_corrupt_file_is_named_and_kept(self, published: Published, server: Server, tmp_path: Path) -> None:
        server.error = None
        published.put(tmp_path)
        for name, content in published.files.items():
            damaged = bytes([content[0] ^ 1]) + content[1:]
            (tmp_path / name).write_bytes(damaged)
            message = refusal(published.source, tmp_path)
            assert f"{tmp_path / name} is corrupt" in message
            assert "delete it and run again" in message
            assert "--dataset digits" in message
            assert (tmp_path / name).read_bytes() == damaged
            (tmp_path / name).write_bytes(content)
        assert server.asked == []

    def test_an_unwritable_data_directory_is_refused(self, published: Published, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        message = refusal(published.source, tmp_path / "file" / "data")
        assert f"cannot write to the data directory {tmp_path / 'file' / 'data'}: Not a directory" in message
        assert "--dataset digits" in message

    def test_an_unreadable_file_is_refused(
        self, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def deny(path: Path, **_: object) -> str:
            raise PermissionError(13, "Permission denied", str(path))

        published.put(tmp_path)
        monkeypatch.setattr("torchvision.datasets.utils.calculate_md5", deny)
        message = refusal(published.source, tmp_path)
        assert message.startswith(f"cannot read {tmp_path / published.first_file}: Permission denied")


class TestCIFAR10:
    def test_classes_and_augmentation(self, cifar10: Published, tmp_path: Path) -> None:
        cifar10.put(tmp_path)
        dataset = cifar10.source.load(tmp_path)
        assert dataset.classes == tuple(f"kind{i}" for i in range(10))  # batches.meta's
        assert (dataset.name, dataset.levels) == ("cifar10", 255)
        assert dataset.augmentation == Augmentation(crop_padding=4, flip=True)

    def test_the_batches_are_pickled_as_python_2_did(self, cifar10: Published) -> None:
        batch = cifar10.files["cifar-10-batches-py/test_batch"]
        assert b"numpy.core.multiarray" in batch
        assert b"K\x00K\x01\x87" in batch

    def test_an_archive_put_there_by_hand_is_used_and_kept(
        self, cifar10: Published, server: Server, tmp_path: Path
    ) -> None:
        archive = tmp_path / "cifar-10-python.tar.gz"
        archive.write_bytes(cifar10.downloads[archive.name])
        assert_as_published(cifar10.source.load(tmp_path), cifar10)
        assert archive.read_bytes() == cifar10.downloads[archive.name]
        assert server.asked == []

    def test_a_corrupt_archive_is_named_and_not_fetched_over(
        self, cifar10: Published, server: Server, tmp_path: Path
    ) -> None:
        archive = tmp_path / "cifar-10-python.tar.gz"
        archive.write_bytes(b"half a download")
        assert f"{archive} is corrupt" in refusal(cifar10.source, tmp_path)
        assert tree(tmp_path) == {archive.name: b"half a download"}
        assert server.asked == []


class TestSVHN:
    def test_classes_and_augmentation(self, svhn: Published, tmp_path: Path) -> None:
        svhn.put(tmp_path)
        dataset = svhn.source.load(tmp_path)
        assert dataset.classes == tuple("0123456789")
        assert (dataset.name, dataset.levels) == ("svhn", 255)
        assert dataset.augmentation == Augmentation(crop_padding=4, flip=False)


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
