"""What a killed process left is removed at the next start; what a live one makes, and what is not ours, stays."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import unfinished
from harness.files import atomic_write_bytes, require_writable, write_together
from harness.hub.folder import write_folder
from harness.site.writing import write_site
from harness.unfinished import clear_dead, dead_in, unfinished_file, unfinished_folder

KILLED = """
import os, sys
from pathlib import Path
from harness.files import atomic_write_bytes, write_together
from harness.hub.folder import write_folder
from harness.site.writing import write_site

folder, step, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def dying(call):
    def instead(*arguments, **options):
        global at
        at -= 1
        if at < 0:
            os.kill(os.getpid(), 9)
        return call(*arguments, **options)
    return instead

os.fsync, os.rename, os.replace, os.unlink = map(dying, (os.fsync, os.rename, os.replace, os.unlink))
if step == "one":
    atomic_write_bytes(folder / "a", b"new")
elif step == "together":
    write_together({folder / name: b"new" for name in "ab"})
elif step == "folder":
    write_folder(folder / "model", {"a": b"new", "b": b"new"})
else:
    write_site(folder / "site", {"index.html": b"new", "new.html": b"new"})
"""


def name(path: Path, host: str = "") -> Path:
    """A name of an unfinished file, of this host or another one."""
    made = unfinished.unfinished_name(path)
    return path.with_name(f".harness-{host}-{made.name.split('-')[2]}") if host else made


def all_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def in_another_process(path: Path) -> Iterator[None]:
    """Another process makes a file beside the path, and has not finished."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness.unfinished import unfinished_file\n"
        "with unfinished_file(Path(sys.argv[1])):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.communicate("")


class TestDead:
    def test_its_file_and_its_folder_are_removed_when_something_is_written_there(self, tmp_path: Path) -> None:
        name(tmp_path / "a").write_bytes(b"half")
        folder = name(tmp_path / "a")
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").touch()
        atomic_write_bytes(tmp_path / "b", b"x")
        assert all_files(tmp_path) == {"b": b"x"}
        assert not folder.exists()

    def test_a_file_that_was_put_aside_comes_back_if_nothing_took_its_place(self, tmp_path: Path) -> None:
        unfinished.name_aside(tmp_path / "a").write_bytes(b"old")
        unfinished.name_aside(tmp_path / "b").write_bytes(b"old")
        (tmp_path / "b").write_bytes(b"new")
        clear_dead(tmp_path)
        assert all_files(tmp_path) == {"a": b"old", "b": b"new"}

    def test_a_folder_that_was_put_aside_comes_back_or_stays(self, tmp_path: Path) -> None:
        for place in "ab":
            aside = unfinished.name_aside(tmp_path / place)
            aside.mkdir()
            (aside / "mine").write_bytes(b"old")
        (tmp_path / "b").mkdir()
        clear_dead(tmp_path)
        assert all_files(tmp_path) == {"a/mine": b"old", f"{aside.name}/mine": b"old"}


class TestAlive:
    def test_what_this_process_makes(self, tmp_path: Path) -> None:
        with unfinished_file(tmp_path / "a") as (made, file), unfinished_folder(tmp_path / "b") as folder:
            file.write(b"half")
            clear_dead(tmp_path)
            assert made.exists()
            assert folder.exists()
            assert list(dead_in(tmp_path)) == []
        assert list(tmp_path.iterdir()) == []

    def test_what_another_process_makes(self, tmp_path: Path) -> None:
        with in_another_process(tmp_path / "a"):
            clear_dead(tmp_path)
            assert len(list(tmp_path.iterdir())) == 1
        clear_dead(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_one_that_is_taken_for_dead_before_it_is_locked_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock, raced = unfinished._lock, list[int]()

        def late(descriptor: int) -> bool | None:
            if not raced:
                raced.append(descriptor)
                for path in tmp_path.iterdir():
                    path.unlink()
            return lock(descriptor)

        monkeypatch.setattr(unfinished, "_lock", late)
        atomic_write_bytes(tmp_path / "a", b"x")
        assert raced
        assert all_files(tmp_path) == {"a": b"x"}

    @pytest.mark.parametrize("lock", [None, False], ids=["no locks", "locked"])
    def test_where_nobody_can_tell_it_stays_until_it_is_old(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: bool | None
    ) -> None:
        path = name(tmp_path / "a")
        path.touch()
        monkeypatch.setattr(unfinished, "_lock", lambda _: lock)
        clear_dead(tmp_path)
        assert path.exists()
        os.utime(path, (0, time.time() - unfinished.OTHERS_S - 60))
        clear_dead(tmp_path)
        assert path.exists() == (lock is False)

    def test_that_of_another_host_stays_for_a_week(self, tmp_path: Path) -> None:
        path = name(tmp_path / "a", host="01234567")
        path.touch()
        os.utime(path, (0, time.time() - unfinished.OTHERS_S + 60))
        clear_dead(tmp_path)
        assert path.exists()
        os.utime(path, (0, time.time() - unfinished.OTHERS_S - 60))
        clear_dead(tmp_path)
        assert not path.exists()


@pytest.mark.parametrize(
    "other",
    ["a.tmp", ".0123456789abcdef.tmp", ".harness-notes.tmp", ".harness-0123456789-0123456789abcdef.tmp", "b.old"],
)
def test_what_is_not_ours_stays(tmp_path: Path, other: str) -> None:
    (tmp_path / other).touch()
    clear_dead(tmp_path)
    assert (tmp_path / other).exists()


def killed_at(folder: Path, step: str, at: int) -> bool:
    """Whether a process was killed at that call of fsync, rename, or unlink."""
    ended = subprocess.run([sys.executable, "-c", KILLED, str(folder), step, str(at)], check=False)
    assert ended.returncode in (0, -9)
    return ended.returncode == -9


def check_killed(folder: Path, step: str, points: range) -> int:
    """Kill a writer at each point, and write again: nothing is left but what was there, old or new, and what is new."""
    done = 0
    for at in points:
        place = folder / str(at)
        place.mkdir()
        (place / "mine").write_bytes(b"mine")
        if step == "site":
            write_site(place / "site", {"index.html": b"old", "gone.html": b"old"})
            (place / "site" / "CNAME").write_bytes(b"mine")
        elif step != "folder":
            (place / "a").write_bytes(b"old")
        if not killed_at(place, step, at):
            return done
        done += 1
        if step == "one":
            assert (place / "a").read_bytes() in (b"old", b"new")
            atomic_write_bytes(place / "a", b"again")
        elif step == "together":
            write_together({place / one: b"again" for one in "ab"})
        elif step == "folder":
            if not (place / "model").exists():
                write_folder(place / "model", {"a": b"new", "b": b"new"})
            clear_dead(place)
        else:
            write_site(place / "site", {"index.html": b"again", "new.html": b"new"})
        left = all_files(place)
        left.pop("site/harness-site.json", None)
        assert (
            left
            == {"mine": b"mine"}
            | {
                "one": {"a": b"again"},
                "together": {"a": b"again", "b": b"again"},
                "folder": {"model/a": b"new", "model/b": b"new"},
                "site": {"site/index.html": b"again", "site/new.html": b"new", "site/CNAME": b"mine"},
            }[step]
        ), at
        assert [path.name for path in place.iterdir() if path.name.startswith(".")] == []
    return done


def test_a_writer_that_is_killed_before_its_file_takes_its_place(tmp_path: Path) -> None:
    assert check_killed(tmp_path, "one", range(1, 2)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("step", "fewest"), [("one", 3), ("together", 8), ("folder", 5), ("site", 4)])
def test_a_writer_that_is_killed_anywhere(tmp_path: Path, step: str, fewest: int) -> None:
    assert check_killed(tmp_path, step, range(40)) >= fewest


def _write_often(folder: Path, number: int) -> None:
    for _ in range(60):
        atomic_write_bytes(folder / f"{number}", bytes([number]) * 1000)
        write_together({folder / f"{number}-{one}": b"x" for one in "ab"})


@pytest.mark.slow
def test_writers_in_one_folder_take_nothing_from_each_other(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_often, args=(tmp_path, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(list(tmp_path.iterdir())) == 12


def test_a_probe_that_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    program = "import os, sys; from pathlib import Path; from harness.files import require_writable\n"
    program += "os.unlink = lambda *_, **__: os.kill(os.getpid(), 9)\nrequire_writable(Path(sys.argv[1]))\n"
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
        assert ended.returncode == -9
        assert len(list(tmp_path.iterdir())) == 1
    require_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
