"""Take known files out of a tar archive, and nothing else: whatever it holds, nothing is written elsewhere."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from harness.errors import DataError, listed, one_line

MOST_BYTES = 2**30  # of one file in an archive: some kilobytes can unpack to any number
MOST_MEMBERS = 10_000  # of an archive; the largest of those that are downloaded has nine


def take_out(archive: Path, names: Collection[str], folder: Path) -> None:
    """Write some members of an archive into a folder, each by its own name.

    The names come from the caller and not from the archive, so no absolute path, no ``..``, no link, and no device in
    it has any effect.

    Args:
        names: relative paths, with slashes.
    Raises:
        DataError: the archive is damaged, lacks a name or has it twice, or has it as anything but an ordinary file of
            at most ``MOST_BYTES``; or it has more than ``MOST_MEMBERS`` members.
        OSError: a file cannot be written.
    """
    taken: set[str] = set()
    try:
        with tarfile.open(archive) as opened:
            for count, member in enumerate(opened, 1):
                if count > MOST_MEMBERS:
                    raise _refused(archive, f"it has more than {MOST_MEMBERS:,} members")
                name = str(PurePosixPath(member.name))  # ./name is name
                if name in names:
                    if name in taken:
                        raise _refused(archive, f"it has {name} twice")
                    _write_member(opened, member, archive, folder / name)
                    taken.add(name)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _refused(archive, f"it cannot be read ({one_line(error)})") from error
    lacking = sorted(set(names) - taken)
    if lacking:
        raise _refused(archive, f"it lacks {listed(lacking)}")


def _write_member(opened: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, place: Path) -> None:
    content = opened.extractfile(member) if member.isreg() else None
    if content is None:
        raise _refused(archive, f"its {member.name} is no ordinary file")
    if member.size > MOST_BYTES:
        raise _refused(archive, f"its {member.name} has {member.size:,} bytes, more than {MOST_BYTES:,}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with content, place.open("xb") as file:
        shutil.copyfileobj(content, file)


def _refused(archive: Path, reason: str) -> DataError:
    return DataError(f"the archive {archive} is refused: {reason}; delete it, and get it from its publisher")
