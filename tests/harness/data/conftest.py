"""Data sets in small, as their publishers serve them."""

from __future__ import annotations

import gzip
import io
import pickle
from hashlib import sha256
from urllib.error import URLError

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torchvision import datasets

from harness.data.cifar10 import CIFAR10
from harness.data.cifar100 import CIFAR100
from harness.data.fashion_mnist import FashionMNIST
from harness.data.mnist import MNIST
from harness.data.stl10 import STL10
from harness.data.svhn import SVHN
from harness.plugin.dataset import DataSource, Split
from tests.harness.data.pixels import Pixels, Published, Server, md5, noise, python2_pickle, tar_gz


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(error=URLError("no network in tests"))
    monkeypatch.setattr("urllib.request.urlopen", server.open)
    return server


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
    monkeypatch.setattr("harness.data.cifar10.SHA256", sha256(archive).hexdigest())
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


@pytest.fixture
def svhn(monkeypatch: pytest.MonkeyPatch) -> Published:
    files: dict[str, bytes] = {}
    splits: list[Split] = []
    lists, sums = dict(datasets.SVHN.split_list), {}
    for seed, part in enumerate(("train", "test")):
        images = noise(seed, 12, 3, 32, 32)
        digits = np.arange(12) % 10
        buffer = io.BytesIO()
        published_labels = np.where(digits == 0, 10, digits).astype(np.uint8)  # 1 ... 10, where 10 is the digit zero
        savemat(buffer, {"X": images.transpose(2, 3, 1, 0), "y": published_labels[:, None]}, do_compression=True)
        name = f"{part}_32x32.mat"
        files[name] = buffer.getvalue()
        lists[part] = [lists[part][0], name, md5(files[name])]
        sums[part] = sha256(files[name]).hexdigest()
        splits.append(Split(torch.from_numpy(images), torch.from_numpy(digits)))
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)
    monkeypatch.setattr("harness.data.svhn.SHA256", sums)
    return Published(SVHN(), files, files, splits[0], splits[1], "train_32x32.mat")


@pytest.fixture
def cifar100(monkeypatch: pytest.MonkeyPatch) -> Published:
    images = {name: noise(seed, 6, 3, 32, 32) for seed, name in enumerate(("train", "test"))}
    fine = {name: [(7 * i + seed) % 100 for i in range(6)] for seed, name in enumerate(images)}
    content = {
        name: python2_pickle(
            {"data": pixels.reshape(6, 3072), "fine_labels": fine[name], "coarse_labels": [0] * 6, "filenames": []}
        )
        for name, pixels in images.items()
    }
    content["meta"] = pickle.dumps({"fine_label_names": [f"kind{i}" for i in range(100)], "coarse_label_names": []}, 2)
    files = {f"cifar-100-python/{name}": data for name, data in content.items()}
    archive = tar_gz(files)
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", md5(content["train"])]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", md5(content["test"])]])
    monkeypatch.setattr(datasets.CIFAR100, "meta", datasets.CIFAR100.meta | {"md5": md5(content["meta"])})
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", md5(archive))
    monkeypatch.setattr("harness.data.cifar100.SHA256", sha256(archive).hexdigest())
    train, test = (Split(torch.from_numpy(images[name]), torch.tensor(fine[name])) for name in images)
    downloads = {"cifar-100-python.tar.gz": archive}
    return Published(CIFAR100(), files, downloads, train, test, "cifar-100-python/train")


def idx(values: Pixels) -> bytes:
    """Bytes in the format of MNIST: type, dimensions, extents with the highest byte first, values."""
    extents = b"".join(extent.to_bytes(4, "big") for extent in values.shape)
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + extents + values.tobytes())


def in_idx(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> Published:
    name = type(source).__name__
    downloads: dict[str, bytes] = {}
    splits = []
    for seed, part in enumerate(("train", "t10k")):
        images, labels = noise(seed, 11, 28, 28), (np.arange(11, dtype=np.uint8) + seed) % 10
        downloads |= {f"{part}-images-idx3-ubyte.gz": idx(images), f"{part}-labels-idx1-ubyte.gz": idx(labels)}
        splits.append(Split(torch.from_numpy(images[:, None]), torch.from_numpy(labels.astype(np.int64))))
    published = getattr(datasets, name)
    monkeypatch.setattr(published, "resources", [(file, md5(content)) for file, content in downloads.items()])
    sums = {file: sha256(content).hexdigest() for file, content in downloads.items()}
    monkeypatch.setattr(f"{type(source).__module__}.SHA256", sums)
    files = {f"{name}/raw/{file}": content for file, content in downloads.items()}
    return Published(source, files, downloads, splits[0], splits[1], next(iter(files)))


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch) -> Published:
    return in_idx(MNIST(), monkeypatch)


@pytest.fixture
def fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> Published:
    return in_idx(FashionMNIST(), monkeypatch)


@pytest.fixture
def stl10(monkeypatch: pytest.MonkeyPatch) -> Published:
    content: dict[str, bytes] = {"unlabeled_X.bin": b"not read", "class_names.txt": b"airplane\n"}
    splits = []
    for seed, part in enumerate(("train", "test")):
        images, labels = noise(seed, 4, 3, 96, 96), np.array([10, 1, 3, 2 + seed], np.uint8)  # 1 ... 10
        columns = b"".join(
            channel[:, column].tobytes() for image in images for channel in image for column in range(96)
        )
        content |= {f"{part}_X.bin": columns, f"{part}_y.bin": labels.tobytes()}
        splits.append(Split(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64) - 1)))
    archive = tar_gz({f"stl10_binary/{name}": data for name, data in content.items()})
    for listed in ("train_list", "test_list"):
        names = [name for name, _ in getattr(datasets.STL10, listed)]
        monkeypatch.setattr(datasets.STL10, listed, [[name, md5(content[name])] for name in names])
    monkeypatch.setattr(datasets.STL10, "tgz_md5", md5(archive))
    monkeypatch.setattr("harness.data.stl10.SHA256", sha256(archive).hexdigest())
    wanted = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
    files = {f"stl10_binary/{name}": content[name] for name in wanted}
    return Published(STL10(), files, {"stl10_binary.tar.gz": archive}, splits[0], splits[1], "stl10_binary/train_X.bin")


@pytest.fixture(params=["cifar10", "svhn", "cifar100", "mnist", "stl10"])
def published(request: pytest.FixtureRequest, server: Server) -> Published:
    result: Published = request.getfixturevalue(request.param)
    server.files = result.downloads
    return result
