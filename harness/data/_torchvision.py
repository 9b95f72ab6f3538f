"""Fetching what torchvision knows how to fetch: checked before it is moved into place, each failure one line."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import DataError
from harness.files import writable_directory

SILENCE_S = 60.0  # a server that sends nothing for so long is given up; torchvision alone would wait for ever
DIGITS = "or use --dataset digits, which needs no download"


@dataclass(frozen=True)
class Download:
    """One file on a server: what is read itself, or an archive of what is read.

    Attributes:
        md5: the published checksum of the file.
        members: what an archive holds: path below the data directory -> published MD5; empty for a plain file.
    """

    url: str
    filename: str
    md5: str
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[str, str]:
        """What must be in the data directory: path below it -> published MD5."""
        return self.members or {self.filename: self.md5}

    def is_in(self, data_dir: Path) -> bool:
        """Whether nothing would have to be fetched: the files are there, or the archive that holds them."""
        return (data_dir / self.filename).exists() or all((data_dir / name).exists() for name in self.files)


def fetch_missing(data_dir: Path, downloads: Sequence[Download]) -> None:
    """See to it that every file is in the data directory as published; what is there already is not fetched again.

    A file is moved into the data directory only when it is complete and its checksum is right. A file there with
    another checksum is never overwritten: it may be someone's work. Nothing is printed on standard output.

    Raises:
        DataError: a file is corrupt or unreadable, a download failed, or the data directory cannot be written. What
            the failed download left is removed, and so is a data directory that was made for it.
    """
    lacking = [(download, _missing(download, data_dir)) for download in downloads]  # refuse before fetching anything
    for download, names in lacking:
        if names:
            _fetch(download, names, data_dir)


def _missing(download: Download, data_dir: Path) -> list[str]:
    names = [name for name, md5 in download.files.items() if not _intact(data_dir / name, md5, download.url)]
    if names and download.members:
        _intact(data_dir / download.filename, download.md5, download.url)  # an archive put there by hand
    return names


def _intact(path: Path, md5: str, url: str) -> bool:
    """Whether the file is there; a DataError where it is there and is not what was published."""
    from torchvision.datasets.utils import check_integrity

    try:
        if check_integrity(path, md5):
            return True
        if not path.exists():
            return False
    except OSError as error:
        raise DataError(f"cannot read {path}: {_reason(error)}; make it readable, {DIGITS}") from error
    raise DataError(
        f"{path} is corrupt: its MD5 is not the published {md5}; "
        f"delete it and run again to fetch it from {url}, {DIGITS}"
    )


def _fetch(download: Download, names: Sequence[str], data_dir: Path) -> None:
    from torchvision.datasets.utils import extract_archive

    try:
        with writable_directory(data_dir), tempfile.TemporaryDirectory(prefix=".fetch-", dir=data_dir) as staging:
            source = data_dir / download.filename
            if not source.exists():
                source = Path(staging) / download.filename
                _download(download, source, data_dir / names[0])
            if download.members:
                extract_archive(source, staging)
            for name in names:
                (data_dir / name).parent.mkdir(exist_ok=True)
                (Path(staging) / name).replace(data_dir / name)
    except OSError as error:
        raise DataError(
            f"cannot write to the data directory {data_dir}: {_reason(error)}; name one that can be written, {DIGITS}"
        ) from error


def _download(download: Download, target: Path, wanted: Path) -> None:
    from torchvision.datasets.utils import download_url

    try:
        with contextlib.redirect_stdout(sys.stderr), _network_timeout(SILENCE_S):
            download_url(download.url, target.parent, target.name, download.md5)
    except (OSError, http.client.HTTPException, RuntimeError) as error:  # RuntimeError: the checksum, or redirects
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
