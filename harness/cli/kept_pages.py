"""A board that took long to make is kept as it was printed, and shown again as long as nothing it shows has changed.

What is kept stands in the user's cache folder, and its name says what was asked, of which state of which database, by
which version of the program. A state is SQLite's own count of changes beside what the file system says of the file. So
a page is never shown for another state: it is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import __version__
from harness.errors import HarnessError
from harness.files import atomic_write_bytes, cache_folder, expanded, resolved, why_no_file
from harness.identity import digest

LEAST_S = 1.0  # a page that was made sooner is not kept
MOST = 16  # pages; the oldest is removed
_HEADER = 100  # bytes of an SQLite file
_ROLLBACK = b"\x01\x01"  # file format versions, in bytes 18 and 19: 2 is a database with a write-ahead log
_CHANGES = slice(24, 28)  # of the header: counts the changes of the file


@dataclass(frozen=True)
class KeptPage:
    """A place for one page."""

    database: Path
    file: Path
    state: str

    def text(self) -> str | None:
        """The page; None if it was not kept, or its file is damaged."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            checksum, _, page = self.file.read_bytes().partition(b"\n")
            if hasattr(os, "geteuid") and self.file.stat().st_uid != os.geteuid():
                return None  # in a folder that users share, another may have written it
            if checksum.decode() == hashlib.sha256(page).hexdigest() and page:
                os.utime(self.file)
                return page.decode("utf-8", "surrogatepass")
        return None

    def keep(self, text: str, seconds: float) -> None:
        """Keep the page, if it took long and the database is still as it was. A folder that is full keeps none."""
        if seconds < LEAST_S or _state(self.database) != self.state:
            return
        page = text.encode("utf-8", "surrogatepass")
        with contextlib.suppress(OSError, HarnessError):
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic_write_bytes(self.file, hashlib.sha256(page).hexdigest().encode() + b"\n" + page)
            pages = sorted(self.file.parent.glob("*.page"), key=lambda page: page.stat().st_mtime_ns)
            for old in pages[:-MOST]:
                old.unlink()


def kept_page(database: str, asked: object) -> KeptPage | None:
    """The place for a page.

    Args:
        database: the path of an SQLite file.
        asked: all that the page depends on beside the database and the program; in JSON types.
    Returns:
        None where a state of the database cannot be told from another by its file: it is no SQLite file, is being
        written to, or has a write-ahead log. None, too, for the URL of a database, and for a user without a home.
    """
    if "://" in database:
        return None
    try:
        folder, file = cache_folder() / "pages", resolved(expanded(database))
        state = _state(file)
    except (HarnessError, OSError):
        return None
    if state is None:
        return None
    named = digest([str(file), state, _program(), asked])
    return KeptPage(file, folder / f"{named}.page", state)


def _state(file: Path) -> str | None:
    if why_no_file(file) is not None:  # a pipe would keep its reader waiting
        return None
    try:
        if any(file.with_name(file.name + end).exists() for end in ("-journal", "-wal")):
            return None
        with file.open("rb") as opened:
            header, held = opened.read(_HEADER), os.fstat(opened.fileno())
    except OSError:
        return None
    if len(header) < _HEADER or header[18:20] != _ROLLBACK:
        return None
    return digest([header[_CHANGES].hex(), held.st_dev, held.st_ino, held.st_size, held.st_mtime_ns, held.st_ctime_ns])


def _program() -> list[object]:
    """The version of the program, and its files, which a developer changes: also to older ones."""
    place = Path(__file__).parents[1]
    files = [Path(folder) / name for folder, _, names in os.walk(place) for name in names if name.endswith(".py")]
    held = [(str(file), file.stat()) for file in sorted(files)]
    return [__version__, sys.version, *([name, each.st_size, each.st_mtime_ns] for name, each in held)]
