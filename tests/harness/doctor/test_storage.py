"""What is said of places: free space, whether they can be written, network file systems, leftover files."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from harness.doctor import storage
from harness.doctor.storage import examine_leftovers, examine_place, file_system

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
tmpfs /home/me/fast tmpfs rw 0 0
server:/a\\040b /mnt/with\\040space nfs rw 0 0
/dev/sdb1 /mnt/hidden ext4 rw 0 0
user@host: /mnt/hidden fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/x", "ext4"),
        ("/home/me", "nfs4"),
        ("/homely", "ext4"),
        ("/home/me/fast/x", "tmpfs"),
        ("/mnt/with space/x", "nfs"),
        ("/mnt/hidden", "fuse.sshfs"),
    ],
)
def test_the_longest_and_last_mount_says_the_file_system(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_without_mounts_nothing_is_known() -> None:
    assert file_system(Path("/x"), "") is None


@pytest.mark.parametrize("locks", [True, False])
def test_a_network_file_system_is_wrong_for_what_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("server:/ / nfs rw 0 0\n")
    monkeypatch.setattr(storage, "MOUNTS", mounts)
    *_, last = examine_place("db", tmp_path, locks=locks)
    assert (last.state, "network file system (nfs)" in last.text) == ("wrong" if locks else "note", True)


@pytest.mark.parametrize(("free", "state"), [(10**7, "wrong"), (10**9, "note"), (10**10, "ok")])
def test_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, free))
    first, *_ = examine_place("runs", tmp_path / "not" / "there")
    assert first.state == state
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_made_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (only,) = examine_place("runs", tmp_path / "file" / "runs")
    assert (only.state, "is not a directory" in only.text) == ("wrong", True)


def test_only_old_temporary_files_of_harness_are_told(tmp_path: Path) -> None:
    names = [f".{'0' * 16}.tmp", f".{'1' * 16}.old", f".{'2' * 16}.tmp", ".other.tmp", "mine.tmp"]
    for name in names:
        (tmp_path / name).write_text("x")
        if "2" not in name:
            os.utime(tmp_path / name, (0, 0))
    (only,) = examine_leftovers([tmp_path, tmp_path / "none"])
    assert only.state == "note"
    assert only.text.startswith("2 of killed processes")
