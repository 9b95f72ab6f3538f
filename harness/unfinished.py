"""Files and folders that a process is still making: named after their host, locked, and removed when it has died.

The lock ends with its process, however that ends. So whoever can take it knows that nobody makes the file any more.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # on Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

OTHERS_S = 7 * 24 * 3600.0  # what another host makes counts as dead after so long: its locks may not reach this one
_NAME = re.compile(r"\.harness-(?P<host>[0-9a-f]{8})-[0-9a-f]{16}(?:-(?P<target>.+)\.old|\.tmp)")


@contextlib.contextmanager
def unfinished_file(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside a path, whose place it may take; if it is left at the end of the block, it is removed.

    What dead processes left in the folder is removed first.
    """
    clear_dead(path.parent)
    while True:
        # not mkstemp: its file mode stays 0600
        temporary = unfinished_name(path)
        with temporary.open("xb") as file:
            free = _lock(file.fileno())
            if free is False or not os.fstat(file.fileno()).st_nlink:
                continue  # somebody took it for that of a dead process before it was locked, and removes it
            try:
                yield temporary, file
            finally:  # an interrupt, too, must not leave the temporary file
                temporary.unlink(missing_ok=True)
            return


@contextlib.contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """The same for a new folder."""
    clear_dead(path.parent)
    while True:
        made = unfinished_name(path)
        made.mkdir()
        try:
            with locked(made) as free:
                if free is not False and made.is_dir():
                    yield made
                    return
        finally:
            shutil.rmtree(made, ignore_errors=True)


def unfinished_name(path: Path) -> Path:
    """A name beside a path that nothing has."""
    return path.with_name(f".harness-{_host()}-{secrets.token_hex(8)}.tmp")


def is_unfinished(path: Path) -> bool:
    """Whether a file or folder has a name that these functions give."""
    return _NAME.fullmatch(path.name) is not None


def name_aside(path: Path) -> Path:
    """A name for what a path holds, while a new file or folder takes its place; lock the old one before."""
    return path.with_name(f".harness-{_host()}-{secrets.token_hex(8)}-{path.name}.old")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool | None]:
    """Lock a file or a folder, also while it is renamed: whether that was possible; None where there are no locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        yield None
        return
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def clear_dead(folder: Path) -> None:
    """Remove what dead processes left in a folder. An old file or folder whose place was not yet taken comes back.

    An old folder whose place was taken may hold what harness did not write: it stays, for whoever knows that folder.
    """
    for path, target in dead_in(folder):
        with contextlib.suppress(OSError):  # not ours to remove, or gone
            if target is None:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_dir():
                if not target.exists():
                    path.rename(target)
            else:
                with contextlib.suppress(FileExistsError):
                    os.link(path, target, follow_symlinks=False)  # unlike ``rename``, it replaces nothing
                path.unlink()


def dead_in(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """What dead processes left in a folder, each locked until the next is asked for; of an old one, also its place."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return
    for name in names:
        found = _NAME.fullmatch(name)
        if found is not None:
            with _if_dead(folder / name, own=found["host"] == _host()) as dead:
                if dead:
                    yield folder / name, folder / found["target"] if found["target"] else None


@contextlib.contextmanager
def _if_dead(path: Path, *, own: bool) -> Iterator[bool]:
    """Whether nobody makes a file or folder any more; if so, it is locked."""
    try:
        status = path.stat()
        writable = stat.S_ISREG(status.st_mode)  # some network file systems lock only what is open for writing
        descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        free = _lock(descriptor)
        old = time.time() - status.st_mtime > OTHERS_S
        yield free is not False and (old or (own and free is True))
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file or folder until it is closed: whether that was possible; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@functools.cache
def _host() -> str:
    """A name of this machine, or of this container: eight digits that tell nobody which it is."""
    machine = ""
    with contextlib.suppress(OSError):
        machine = Path("/etc/machine-id").read_text(encoding="ascii")
    return hashlib.sha256(f"{platform.node()}\n{machine}".encode()).hexdigest()[:8]
