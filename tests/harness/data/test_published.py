"""Published data sets: downloads that are checked, and files in the true formats."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from harness.plugin.dataset import Augmentation, Dataset
from tests.harness.data.pixels import Published, Server, refusal, tree


def assert_as_published(dataset: Dataset, published: Published) -> None:
    for found, expected in ((dataset.train, published.train), (dataset.test, published.test)):
        assert found.images.dtype == torch.uint8
        assert found.images.is_contiguous()
        assert torch.equal(found.images, expected.images)
        assert found.labels.dtype == torch.int64
        assert torch.equal(found.labels, expected.labels)


class TestPublished:
    """Data sets that are downloaded, from tiny files in their true formats."""

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


CLASSES_AND_AUGMENTATION: dict[str, tuple[tuple[str, ...], Augmentation]] = {
    "cifar100": (tuple(f"kind{i}" for i in range(100)), Augmentation(crop_padding=4, flip=True)),
    "stl10": (
        ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        Augmentation(crop_padding=12, flip=True),
    ),
    "mnist": (tuple("0123456789"), Augmentation()),
    "fashion-mnist": (
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        Augmentation(crop_padding=4, flip=True),
    ),
}


class TestOthers:
    @pytest.mark.parametrize("published", ["cifar100", "mnist", "fashion_mnist", "stl10"], indirect=True)
    def test_classes_and_augmentation(self, published: Published, tmp_path: Path) -> None:
        published.put(tmp_path)
        dataset = published.source.load(tmp_path)
        assert (dataset.classes, dataset.augmentation) == CLASSES_AND_AUGMENTATION[dataset.name]
        assert dataset.levels == 255
        outline = published.source.outline
        assert outline is not None
        assert dataset.shape == outline[0]
