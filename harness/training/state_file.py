"""The files of a training's state: each with a checksum, the newest and the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from harness.files import always, atomic_write_bytes

STATE_FILE, STATE_BEFORE = "state.pt", "state-before.pt"
_HEAD = b"harness training state, sha256 "


class DamagedState(Exception):
    """The content of a state's file is not what was written; the text says in what way."""


def write_state(directory: Path, content: bytes, may_write: Callable[[], None] = always) -> None:
    """Write a state with its checksum; the newest so far becomes the one before it.

    At every moment, also after a crash, one of the two files holds a whole state.

    Args:
        may_write: called when the new state is on the disk, just before it takes its place. If it raises, both files
            stay as they were.
    """
    digest = hashlib.sha256(content).hexdigest().encode()
    put_state(directory, _HEAD + digest + b"\n" + content, may_write)


def put_state(directory: Path, whole: bytes, may_write: Callable[[], None] = always) -> None:
    """Write the whole file of a state, as another process wrote it; see ``write_state``."""
    file = directory / STATE_FILE

    def make_room() -> None:
        keep = _is_whole(file)  # a damaged one must not take the place of the whole one that the training went on from
        may_write()  # last, as reading takes its time
        if keep:
            file.replace(directory / STATE_BEFORE)

    atomic_write_bytes(file, whole, make_room)


def _is_whole(file: Path) -> bool:
    try:
        read_state(file)
    except (DamagedState, OSError):
        return False
    return True


def read_state(file: Path) -> bytes:
    """The content of a state's file. A file of an older version has no checksum.

    Raises:
        DamagedState: the file is empty, or is not what was written.
        OSError: it cannot be read.
    """
    content = file.read_bytes()
    if not content:
        raise DamagedState("it is empty")
    if not content.startswith(_HEAD):
        return content
    head, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != head.removeprefix(_HEAD):
        raise DamagedState("its checksum does not fit its content")
    return rest
