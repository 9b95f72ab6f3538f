"""The places that harness writes to: free space, whether they can be written, network file systems, leftover files."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.diagnosis import Diagnosis
from harness.files import require_writable, resolved

LEAST_BYTES, FEW_BYTES = 100 * 10**6, 5 * 10**9  # less is wrong; less is told
NETWORK = re.compile(r"nfs\d*|cifs|smb\w*|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|fuse\.(sshfs|glusterfs|s3fs|rclone)")
MOUNTS = Path("/proc/mounts")
LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.(tmp|old)")
OLD_S = 3600.0  # a younger one may be in use


def examine_place(name: str, folder: Path, *, locks: bool = False) -> Iterator[Diagnosis]:
    """One folder that harness writes to, there or not yet.

    Args:
        locks: files in it are locked, as a database is.
    """
    topic = f"{name} {folder}"
    try:
        require_writable(folder)
    except OSError as error:
        yield Diagnosis(topic, "wrong", f"it cannot be written: {error}", "give it to you, or choose another place")
        return
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    state = "wrong" if free < LEAST_BYTES else "note" if free < FEW_BYTES else "ok"
    yield Diagnosis(topic, state, f"{free / 1e9:.1f} GB are free", "make room" if state != "ok" else "")  # type: ignore[arg-type]
    kind = file_system(resolved(there), MOUNTS.read_text() if MOUNTS.exists() else "")
    if kind is not None and NETWORK.fullmatch(kind):
        if locks:
            remedy = "keep the database on a disk of this machine: two machines that write over a network can damage it"
            yield Diagnosis(topic, "wrong", f"it is a network file system ({kind})", remedy)
        else:
            yield Diagnosis(topic, "note", f"it is a network file system ({kind})")


def file_system(path: Path, mounts: str) -> str | None:
    """The type of the file system that has a path, by the lines of /proc/mounts; None if they do not tell."""
    found: tuple[int, str | None] = (-1, None)
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        mounted = Path(re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), place))
        if path.is_relative_to(mounted) and len(mounted.parts) >= found[0]:  # a later mount hides an earlier one
            found = len(mounted.parts), kind
    return found[1]


def examine_leftovers(folders: list[Path]) -> Iterator[Diagnosis]:
    """Temporary files of processes that were killed."""
    end = time.time() - OLD_S
    files = [
        file for folder in folders if folder.is_dir() for file in folder.iterdir() if LEFTOVER.fullmatch(file.name)
    ]
    old = [file for file in files if file.stat().st_mtime < end]
    if old:
        size = sum(file.stat().st_size for file in old) / 1e6
        text = f"{len(old)} of killed processes ({size:.1f} MB), such as {old[0]}"
        yield Diagnosis("temporary files", "note", text, "delete them")
    else:
        yield Diagnosis("temporary files", "ok", "none")
