"""Download data sets through torchvision. A file is checked before it is moved into place; a failure is one line."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.data._archive import take_out
from harness.errors import DataError
from harness.files import writable_directory
from harness.runtime.printing import prints_to
from harness.unfinished import unfinished_folder

SILENCE_S = 60.0  # a download fails if the server sends nothing for so long; torchvision alone would wait for ever
DIGITS = "or use --dataset digits, which needs no download"


@dataclass(frozen=True)
class Download:
    """One file on a server: a file that is read as it is, or an archive of such files.

    Attributes:
        md5: the published checksum of the file.
        sha256: its checksum as others publish it, for which nobody can make another file; torchvision has MD5 alone.
        members: for an archive, path of each extracted file below the data directory -> published MD5; else empty.
            There is no other checksum of these.
    """

    url: str
    filename: str
    md5: str
    sha256: str
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[str, str]:
        """The files to read: path below the data directory -> published MD5."""
        return self.members or {self.filename: self.md5}

    def is_in(self, data_dir: Path) -> bool:
        """Whether nothing must be downloaded: the files, or their archive, are in the data directory."""
        return (data_dir / self.filename).exists() or all((data_dir / name).exists() for name in self.files)


def fetch_missing(data_dir: Path, downloads: Sequence[Download]) -> None:
    """Download the files that the data directory lacks.

    A file is moved into the data directory only when it is complete and its checksum is right. An existing file with
    another checksum is never overwritten: it may be the user's. Nothing is printed to standard output.

    Raises:
        DataError: a file is corrupt or unreadable, a download failed, or the data directory cannot be written. The
            parts of a failed download are removed, and so is a data directory that was created for it.
    """
    lacking = [(download, _missing(download, data_dir)) for download in downloads]  # all, before any download
    for download, names in lacking:
        if names:
            _fetch(download, names, data_dir)


def _missing(download: Download, data_dir: Path) -> list[str]:
    whole = data_dir / download.filename
    if not download.members:
        return [] if _intact(whole, download.md5, download.url, download.sha256) else [download.filename]
    names = [name for name, md5 in download.members.items() if not _intact(data_dir / name, md5, download.url)]
    if names:
        _intact(whole, download.md5, download.url, download.sha256)  # an archive that the user put there
    return names


def _intact(path: Path, md5: str, url: str, sha256: str | None = None) -> bool:
    """Whether the file exists; DataError if it exists with another checksum than a published one."""
    from torchvision.datasets.utils import check_integrity

    try:
        right = check_integrity(path, md5)
        if right and sha256 in (None, _sha256(path)):
            return True
        if not path.exists():
            return False
    except OSError as error:
        raise DataError(f"cannot read {path}: {_reason(error)}; make it readable, {DIGITS}") from error
    wrong = f"SHA-256 is not the published {sha256}" if right else f"MD5 is not the published {md5}"
    raise DataError(f"{path} is corrupt: its {wrong}; delete it and run again to fetch it from {url}, {DIGITS}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(download: Download, names: Sequence[str], data_dir: Path) -> None:
    try:
        with writable_directory(data_dir), unfinished_folder(data_dir / "download") as staging:
            source = data_dir / download.filename
            if not source.exists():
                source = staging / download.filename
                _download(download, source, data_dir / names[0])
            if download.members:
                take_out(source, names, staging)
            for name in names:
                (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).replace(data_dir / name)
    except OSError as error:
        raise DataError(
            f"cannot write to the data directory {data_dir}: {_reason(error)}; name one that can be written, {DIGITS}"
        ) from error


def _download(download: Download, target: Path, wanted: Path) -> None:
    from torchvision.datasets.utils import download_url

    try:
        with prints_to(sys.stderr), _network_timeout(SILENCE_S):
            download_url(download.url, target.parent, target.name, download.md5)
            if _sha256(target) != download.sha256:
                raise RuntimeError(f"File not found or corrupted: its SHA-256 is not the published {download.sha256}")
    except (OSError, http.client.HTTPException, RuntimeError) as error:  # RuntimeError: checksum or redirects
        raise DataError(
            f"{wanted} is missing and {download.url} could not be fetched: {_reason(error)}; "
            f"try again, put {download.filename} into the data directory by hand, {DIGITS}"
        ) from error


@contextlib.contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())
