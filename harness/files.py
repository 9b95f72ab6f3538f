"""Writing files so that a reader finds the old content or the new, never a half, and a failure leaves no trace."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, on the disk by the time this returns; its directory must exist.

    Raises:
        OSError: it could not be written; the old file, if there was one, is untouched and no temporary file is left.
    """
    # beside the target, since a rename across file systems is not atomic; not mkstemp, whose mode is 0600 for good
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else the rename may reach the disk before the content does
        temporary.replace(path)
    except BaseException:  # an interrupt too must not leave it behind
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def require_writable(directory: Path) -> None:
    """Raise OSError, with the reason in words, where a directory cannot be made, or nothing can be made in it.

    Nothing is left behind; a file is made for a moment, since a system's answer about permissions may be no promise.
    """
    existing = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing} is not a directory")
    probe = existing / f".{secrets.token_hex(8)}.tmp"
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        raise OSError(f"nothing can be made in {existing} ({error.strerror})") from None
    probe.unlink()


@contextlib.contextmanager
def writable_directory(path: Path) -> Iterator[None]:
    """Create a directory with its missing parents; if the block fails, remove what was created and is still empty."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):  # not empty, or never created: it stays as it is
                folder.rmdir()
        raise


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # a rename is an entry of the directory: without this a power cut may undo it
    finally:
        os.close(descriptor)
