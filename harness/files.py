"""Write files so that a reader finds the old content or the new, never a part, and a failure leaves nothing behind.

Folders that a process works in are marked, so that no other process removes them meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from harness.errors import SettingError, visible
from harness.unfinished import clear_dead, is_unfinished, locked, name_aside, unfinished_file, unfinished_name

try:
    import fcntl
    import resource
except ImportError:  # on Windows, where folders are not marked
    fcntl = resource = None  # type: ignore[assignment]


def always() -> None:
    """Refuse nothing: a file may take its place."""


def is_plain_name(name: str) -> bool:
    """Whether a name, perhaps from somebody else's file, is that of one file or folder, and not hidden or a path."""
    return bool(name) and Path(name).name == name and "\0" not in name and not name.startswith(".")


def resolved(path: Path) -> Path:
    """A whole path without links. Links in a circle stay: ``Path.resolve`` raises there."""
    return Path(os.path.realpath(path))


MISSING, DIRECTORY = "does not exist", "is a directory"


def why_no_file(path: Path) -> str | None:
    """Why a path is no file to read, in words such as ``is a directory``; None for a file, or a link to one.

    A pipe may keep its reader waiting for ever, and a device may have no end. So only ordinary files are read.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:
        return "cannot be read: a character of its name is none of a file's name"
    if stat.S_ISREG(mode):
        return None
    return DIRECTORY if stat.S_ISDIR(mode) else "is no ordinary file, but a pipe, a socket, or a device"


def expanded(text: str) -> Path:
    """A path whose ``~`` is the home of the user.

    Raises:
        SettingError: it begins with ``~NAME``, and there is no user of that name; or it has a NUL character.
    """
    if "\0" in text:
        raise SettingError(f"the path {visible(text)} is refused: no path has a NUL character; correct it")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = text.split("/")[0][1:]
        lacking = f"there is no user {user}" if user else "this user has no home directory"
        raise SettingError(f"{text} is refused: {lacking}; write the path out") from None


def cache_folder() -> Path:
    """The folder of harness in the user's cache folder: in $XDG_CACHE_HOME, or ``~/.cache``, as torch's own is.

    Raises:
        SettingError: the user has no home directory.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else expanded("~/.cache")) / "harness"


def atomic_write_bytes(path: Path, content: bytes, before: Callable[[], None] = always) -> None:
    """Write a file completely or not at all; on return it is on the disk. Its directory must exist.

    Args:
        before: see ``atomic_file``.
    Raises:
        OSError: the file could not be written. An old file is unchanged, and no temporary file is left.
    """
    with atomic_file(path, before) as file:
        file.write(content)


@contextlib.contextmanager
def atomic_file(path: Path, before: Callable[[], None] = always) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the path's place at the end of the block; if the block fails, it is removed.

    It is for content that is too long to be in memory; see ``atomic_write_bytes``.

    Args:
        before: called when the content is on the disk, just before the file takes its place. If it raises, the file is
            removed, and what was at the path stays.
    Raises:
        OSError: the file cannot be written; or a pipe, a socket, or a device has the path, which a file must not
            replace: root would take ``/dev/null`` from the whole machine.
    """
    _refuse_special(path)
    with _named_in_errors(path), unfinished_file(path) as (temporary, file):  # beside it: a rename stays in a disk
        yield file
        file.flush()
        os.fsync(file.fileno())  # otherwise the rename may reach the disk before the content
        before()
        temporary.replace(path)
    sync_directory(path.parent)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files: all of them or none. Their directories must exist.

    Another process may see some of the new files before the others.

    Raises:
        OSError: a file could not be written. Every old file is unchanged, and no temporary file is left.
    """
    for path in contents:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{path} is a directory")
        _refuse_special(path)
    with contextlib.ExitStack() as stack:
        made = {}
        for path, content in contents.items():
            stack.enter_context(_named_in_errors(path))
            made[path], file = stack.enter_context(unfinished_file(path))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.ExitStack() as undo:
            for path, temporary in made.items():
                with _named_in_errors(path):
                    _exchange(path, temporary, stack, undo)
            undo.pop_all()
    for folder in {path.parent for path in contents}:
        sync_directory(folder)


def _exchange(path: Path, temporary: Path, stack: contextlib.ExitStack, undo: contextlib.ExitStack) -> None:
    """Put the new file in the place of the old one, which is removed at the end, or put back."""
    if path.exists() or path.is_symlink():
        aside = name_aside(path)
        stack.enter_context(locked(path))
        path.rename(aside)
        undo.callback(aside.replace, path)
        stack.callback(aside.unlink, missing_ok=True)
    temporary.rename(path)
    undo.callback(path.unlink)


def _refuse_special(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():  # of a directory the rename tells
        raise FileExistsError(errno.EEXIST, f"it {why_no_file(path)}", str(path))


@contextlib.contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    """An error of a write names no file, and that of a rename a temporary one: the user knows the path."""
    try:
        yield
    except OSError as error:
        if error.errno and (error.filename is None or is_unfinished(Path(str(error.filename)))):
            error.filename, error.filename2 = str(path), None
        raise


def require_writable(directory: Path) -> None:
    """Raise OSError, with a reason for the user, if a directory cannot be created or no file can be created in it.

    Leaves nothing behind. It creates a file for a moment, since a system's answer about permissions can be wrong.
    """
    existing = next(place for place in (directory, *directory.absolute().parents) if _is_there(place))
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing} is not a directory")
    clear_dead(existing)
    probe = unfinished_name(existing / "probe")
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        raise OSError(f"nothing can be made in {existing} ({error.strerror})") from None
    probe.unlink(missing_ok=True)  # another process may take it for that of a dead one


def _is_there(place: Path) -> bool:
    """Whether anything has this path, also a link to nothing or to itself; OSError where no file may have it."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextlib.contextmanager
def writable_directory(path: Path) -> Iterator[None]:
    """Create a directory with its missing parents; if the block fails, remove what was created and is still empty."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):  # not empty, or never created
                folder.rmdir()
        raise


@contextlib.contextmanager
def in_use(folders: Iterable[Path], *, alone: bool = False) -> Iterator[None]:
    """Mark folders as in use, by a lock that ends with the process; leave out a folder that cannot be opened.

    A mark is a courtesy, and takes one of the files that a process may have open. So at most half of these are taken:
    of thousands of folders, only the first are marked, and the work goes on.

    Args:
        alone: nobody else may hold a folder; else several may.
    Raises:
        BlockingIOError: another process holds a folder in a way that excludes this one; ``filename`` names the folder.
    """
    with contextlib.ExitStack() as stack:
        for folder in itertools.islice(folders, _most_marks()):
            if fcntl is None or not folder.is_dir():
                continue
            try:
                descriptor = os.open(folder, os.O_RDONLY)
            except OSError:
                continue
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BlockingIOError(error.errno, error.strerror, str(folder)) from None
            except OSError:  # a file system without locks
                continue
        yield


def _most_marks() -> int | None:
    """How many folders are marked at most; None: all."""
    if resource is None:
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most // 2


def sync_directory(path: Path) -> None:
    """Have the disk keep what was made, renamed, or removed in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # a rename changes the directory: without this a power cut may undo it
    finally:
        os.close(descriptor)
