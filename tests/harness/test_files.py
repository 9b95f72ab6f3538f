"""Atomic writing: the whole content or none of it, and no traces of a failure."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from harness import files
from harness.files import atomic_write_bytes, writable_directory


def test_writes_a_new_file_and_replaces_an_old_one(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    for content in (b"old, and longer", b"new", b""):
        atomic_write_bytes(target, content)
        assert target.read_bytes() == content
        assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("old", [b"old", None])
def test_a_refusal_at_the_last_moment_keeps_the_old_content(tmp_path: Path, old: bytes | None) -> None:
    target, seen = tmp_path / "checkpoint", []
    if old is not None:
        target.write_bytes(old)

    def refuse() -> None:
        seen.append({file.read_bytes() for file in tmp_path.iterdir()})
        raise PermissionError("not yours any more")

    with pytest.raises(PermissionError):
        atomic_write_bytes(target, b"new", refuse)
    assert seen == [{b"new"} | ({old} if old else set())]  # the content was whole, beside the old one
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([old] if old else [])


def test_mode_is_what_the_umask_allows(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        atomic_write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=["disk full", "interrupt"])
def test_a_failure_keeps_the_old_content_and_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    target = tmp_path / "checkpoint"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        atomic_write_bytes(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_content_is_on_the_disk_before_the_name_points_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        calls.append("fsync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def spy_replace(source: Path, target: Path) -> None:
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    atomic_write_bytes(tmp_path / "file", b"x")
    assert calls == ["fsync file", "replace", "fsync directory"]


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write_bytes(tmp_path / "missing" / "file", b"x")
    assert list(tmp_path.iterdir()) == []


def fail_in(folder: Path, *then_write: str) -> None:
    with writable_directory(folder):
        for name in then_write:
            (folder / name).touch()
        assert folder.is_dir()
        raise ValueError("refused")


def test_a_directory_made_for_nothing_is_removed_with_its_parents(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="refused"):
        fail_in(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_there_or_is_in_use_is_kept(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(ValueError, match="refused"):
        fail_in(tmp_path / "old")
    with pytest.raises(ValueError, match="refused"):
        fail_in(tmp_path / "new" / "deep", "file")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "file", "new", "old"]


def test_marks_take_at_most_half_of_the_files_that_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / str(number) for number in range(10)]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8, 8))
    with files.in_use(folders):
        marked = []
        for folder in folders:
            try:
                with files.in_use([folder], alone=True):
                    pass
            except BlockingIOError:
                marked.append(folder)
    assert marked == folders[:4]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    with files.in_use(folders), pytest.raises(BlockingIOError), files.in_use(folders[9:], alone=True):
        pass
