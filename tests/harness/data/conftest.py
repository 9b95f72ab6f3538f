"""CIFAR-10 and SVHN in small, as their publishers serve them."""

from __future__ import annotations

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
from harness.data.svhn import SVHN
from harness.plugin.dataset import Split
from tests.harness.data.pixels import Published, Server, md5, noise, python2_pickle, tar_gz


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


@pytest.fixture(params=["cifar10", "svhn"])
def published(request: pytest.FixtureRequest, server: Server) -> Published:
    result: Published = request.getfixturevalue(request.param)
    server.files = result.downloads
    return result
