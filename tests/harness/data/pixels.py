"""Pixels and files, publishers that serve them, and refusals: what the tests of data sets share."""

from __future__ import annotations

import hashlib
import io
import pickle
import socket
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError
from harness.plugin.dataset import DataSource, Split

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


def tar_gz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
