"""What the machine refuses is told in one line, with the file and the remedy; a bug keeps its traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from harness.cli import run as run_command
from harness.cli.system_errors import REMEDIES, system_error_line
from harness.errors import StoreFault
from harness.files import atomic_write_bytes, write_together
from harness.store import connecting
from harness.store.store import Store
from tests import stores
from tests.cli.conftest import Ends, Refused
from tests.command import exit_code
from tests.full_disk import largest_file

SMALL = "run sat --dataset digits --arch smallcnn --epochs 1 --limit 20 --attacks natural --no-checks --eval-every 0"


@pytest.fixture
def board(elsewhere: Path) -> Path:
    """A database with one run in the working directory."""
    store = Store.write("leaderboard.db")
    stores.start(store, stores.make_spec())
    store.close()
    return elsewhere / "leaderboard.db"


@contextlib.contextmanager
def full_output() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, open("/dev/full", "w") as full:  # noqa: PTH123
        patch.setattr(sys, "stdout", full)
        yield


class TestLine:
    @pytest.mark.parametrize("number", REMEDIES)
    def test_each_names_the_file_and_a_remedy(self, number: int) -> None:
        line = system_error_line(OSError(number, os.strerror(number), "runs/a\nb/state.pt"))
        assert line is not None
        assert line.startswith(f"runs/a\\nb/state.pt cannot be read or written: {os.strerror(number)}; ")

    @pytest.mark.parametrize("number", [errno.ENOENT, errno.EBADF, errno.EINVAL, errno.EEXIST, errno.ENOTDIR])
    def test_a_bug_is_none(self, number: int) -> None:
        assert system_error_line(OSError(number, os.strerror(number), "internal")) is None

    def test_a_permission_of_no_file_is_a_bug(self) -> None:
        assert system_error_line(PermissionError(errno.EACCES, "Permission denied")) is None

    def test_a_library_that_gives_no_number_is_a_bug(self) -> None:
        assert system_error_line(OSError("odd")) is None

    @pytest.mark.parametrize("write", ["one", "together"])
    def test_a_write_that_fails_names_the_file_and_not_its_temporary_one(self, tmp_path: Path, write: str) -> None:
        target = tmp_path / "state.pt"
        with largest_file(10), pytest.raises(OSError, match="File too large") as told:
            atomic_write_bytes(target, b"x" * 100) if write == "one" else write_together({target: b"x" * 100})
        assert told.value.filename == str(target)
        carried = pickle.loads(pickle.dumps(told.value))  # as that of a worker process
        assert system_error_line(carried) == system_error_line(told.value) != None  # noqa: E711
        assert list(tmp_path.iterdir()) == []


class TestCommands:
    def test_a_bug_keeps_its_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: object, **__: object) -> None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "internal")

        monkeypatch.setattr(run_command, "workplace", fails)
        with pytest.raises(FileNotFoundError):
            exit_code(f"harness {SMALL}")

    @pytest.mark.slow
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_state_that_finds_no_room_ends_the_training(self, workers: int, ends: Ends, board: Path) -> None:
        command = f"{SMALL} --set width=40 --train-seeds 2 --workers {workers}"
        with largest_file(board.stat().st_size + 50_000):  # a state is larger
            code, out, err = ends(command)
        *_, last = err.splitlines()
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        assert last.startswith("harness: runs/")
        assert "cannot be read or written: File too large; a file may not grow so large here" in last
        store = Store.read(str(board))
        assert {run.status for run in store.runs()[1:]} == {"running"}
        store.close()
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # workers come from it, and it has that limit
        assert ends(command)[0] == 0
        assert list(Path("runs").rglob(".*")) == []

    def test_output_that_finds_no_room(self, board: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for command in ("runs", "leaderboard --format json", "--version"):
            with full_output():
                code = exit_code(f"harness {command}")
            assert code == 2
            assert capsys.readouterr().err == (
                "harness: standard output, or a file without a name, cannot be read or written: No space left on"
                " device; free some space, then run the same command again: what was done is kept\n"
            )

    def test_a_reader_that_has_ended_ends_the_command_quietly(
        self, board: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for command in ("--version", "leaderboard --format json"):
            reading, writing = os.pipe()
            os.close(reading)
            with pytest.MonkeyPatch.context() as patch, os.fdopen(writing, "w") as ended:
                patch.setattr(sys, "stdout", ended)
                assert exit_code(f"harness {command}") == 1
                with contextlib.suppress(BrokenPipeError):
                    ended.flush()
            assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("command", ["new method half-way --dir {}", "leaderboard --out {}/board.csv"])
    def test_a_file_that_finds_no_room_is_not_left_in_part(
        self, command: str, ends: Ends, board: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        with largest_file(50):
            code, _, err = ends(command.format(folder))
        assert code == 2
        assert err.count("\n") == 1
        assert "File too large" in err
        assert str(folder) in err
        assert list(folder.iterdir()) == []


class TestDatabase:
    @pytest.mark.parametrize("command", ["leaderboard", "runs", "show 1", "note 1 mine", "compare 1 1", "site --out s"])
    def test_a_damaged_one(self, command: str, board: Path, refusal: Refused) -> None:
        whole = bytearray(board.read_bytes())
        whole[4096 * 3 : 4096 * 4] = b"\xff" * 4096
        board.write_bytes(whole)
        assert "leaderboard.db is damaged: " in refusal(command)
        assert board.read_bytes() == whole

    @pytest.mark.parametrize("command", ["leaderboard", "note 1 mine"])
    def test_a_locked_one(self, command: str, board: Path, fails: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connecting, "TOLD_AFTER_MS", 50)
        monkeypatch.setattr(connecting, "BUSY_TIMEOUT_MS", 100)
        with contextlib.closing(sqlite3.connect(board, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            code, out, err = fails(command)
        assert (code, out) == (2, "")
        note, refused = err.splitlines()
        assert note == "note: the database leaderboard.db is locked by another process; waiting up to 0 s for it"
        assert refused.startswith("harness: the database leaderboard.db is locked by another process (")

    def test_quiet_is_quiet(self, board: Path, fails: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connecting, "TOLD_AFTER_MS", 50)
        monkeypatch.setattr(connecting, "BUSY_TIMEOUT_MS", 100)
        with contextlib.closing(sqlite3.connect(board, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            code, _, err = fails(f"{SMALL} --quiet")
        assert code == 2
        (line,) = err.splitlines()
        assert "is locked by another process (" in line

    @pytest.mark.slow
    def test_one_that_fails_in_a_training_fails_no_run(
        self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(store: Store, *_: object) -> None:
            raise StoreFault("the database is full")

        with monkeypatch.context() as patch:
            patch.setattr(Store, "add_epoch", full)
            code, out, err = ends(f"{SMALL} --set width=2 --workers 1")
        assert (code, out) == (2, "")
        assert err.splitlines()[-1] == "harness: the database is full"
        store = Store.read()
        assert [run.status for run in store.runs()] == ["running"]
        store.close()


@pytest.mark.slow
def test_the_installed_program_ends_as_quietly(board: Path) -> None:
    """Python itself writes out what is left of standard output when the program has ended."""
    program = f"{sys.executable} -m harness leaderboard --format json"
    piped = subprocess.run(f"{program} | head -c 5", shell=True, capture_output=True, text=True, check=False)
    assert (piped.stdout, piped.stderr) == ('{\n  "', "")
    full = subprocess.run(f"{program} > /dev/full", shell=True, capture_output=True, text=True, check=False)
    assert full.returncode == 2
    assert full.stderr.count("\n") == 1
