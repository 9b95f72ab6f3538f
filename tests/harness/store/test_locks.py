"""A lock is waited for, told once, and then refused in one line; the journal of a killed writer is rolled back."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import StoreFault
from harness.store import connecting, database
from harness.store.store import Store
from tests.harness.store.entries import make_spec, start

LONG_MS, SHORT_MS = 20_000, 300


@contextlib.contextmanager
def locked(file: Path, how: str = "EXCLUSIVE") -> Iterator[sqlite3.Connection]:
    """Another connection holds the database; inside one process SQLite keeps two connections apart as it does two."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute(f"BEGIN {how}")
        if how == "DEFERRED":
            other.execute("SELECT count(*) FROM runs").fetchall()
        yield other


@contextlib.contextmanager
def released_when_told(other: sqlite3.Connection) -> Iterator[None]:
    """End the other's transaction some time after the note is out."""
    told = threading.Event()

    class Listens(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    def release() -> None:
        told.wait(LONG_MS / 1000)
        time.sleep(0.3)  # longer than the wait before the note
        other.execute("ROLLBACK")

    listens, thread = Listens(), threading.Thread(target=release)
    logging.getLogger("harness.store").addHandler(listens)
    thread.start()
    try:
        yield
    finally:
        told.set()
        thread.join()
        logging.getLogger("harness.store").removeHandler(listens)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The note comes after 50 ms, and the wait is over after 300 ms."""
    monkeypatch.setattr(connecting, "TOLD_AFTER_MS", 50)
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_MS", SHORT_MS)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The note comes after 50 ms, and the wait is longer than any test."""
    monkeypatch.setattr(connecting, "TOLD_AFTER_MS", 50)
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_MS", LONG_MS)


def test_the_user_is_told_after_two_seconds_and_refused_after_a_minute() -> None:
    assert (connecting.TOLD_AFTER_MS, connecting.BUSY_TIMEOUT_MS) == (2_000, 60_000)


@pytest.mark.usefixtures("soon")
class TestLongLock:
    def test_a_reader_is_refused(self, full: Path, caplog: pytest.LogCaptureFixture) -> None:
        with locked(full), pytest.raises(StoreFault, match="is locked by another process") as told:
            Store.read(str(full))
        assert str(full) in str(told.value)
        assert "wait until that has ended, or stop it, then run the same command again" in str(told.value)
        assert [record.name for record in caplog.records] == ["harness.store"]

    def test_a_reader_in_the_middle_of_its_work_is_refused(self, full: Path) -> None:
        store = Store.read(str(full))
        truth = store.runs()
        with locked(full), pytest.raises(StoreFault, match="is locked"):
            store.runs()
        assert store.runs() == truth
        store.close()

    @pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE", "DEFERRED"])
    def test_a_writer_is_refused_and_writes_nothing(self, full: Path, how: str) -> None:
        """It meets a writer at its BEGIN, and a reader at its COMMIT."""
        store = Store.write(str(full))
        truth = store.runs()
        with locked(full, how), pytest.raises(StoreFault, match="is locked"):
            start(store, make_spec(train_seed=9))
        assert store.runs() == truth
        start(store, make_spec(train_seed=9))
        assert len(store.runs()) == len(truth) + 1
        store.close()

    def test_it_is_told_once_however_often_it_is_met(self, full: Path, caplog: pytest.LogCaptureFixture) -> None:
        store = Store.write(str(full))
        with locked(full):
            for _ in range(3):
                with pytest.raises(StoreFault):
                    store.runs()
        store.close()
        (record,) = caplog.records
        assert record.getMessage() == f"the database {full} is locked by another process; waiting up to 0 s for it"


@pytest.mark.usefixtures("patient")
class TestShortLock:
    def test_a_reader_waits_and_reads(self, full: Path, caplog: pytest.LogCaptureFixture) -> None:
        store = Store.read(str(full))
        truth = store.runs()
        with locked(full) as other, released_when_told(other):
            assert store.runs() == truth
        store.close()
        assert [record.getMessage() for record in caplog.records] == [
            f"the database {full} is locked by another process; waiting up to 20 s for it"
        ]

    @pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE", "DEFERRED"])
    def test_a_writer_waits_and_writes_once(self, full: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
        store = Store.write(str(full))
        with locked(full, how) as other, released_when_told(other):
            start(store, make_spec(train_seed=9))
        assert len(store.runs()) == 2
        assert len(caplog.records) == 1
        store.close()

    def test_a_free_database_is_not_told(self, full: Path, caplog: pytest.LogCaptureFixture) -> None:
        store = Store.write(str(full))
        start(store, make_spec(train_seed=9))
        store.close()
        assert caplog.records == []


KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("PRAGMA cache_size = 1")  # pages reach the file before the commit
connection.execute("BEGIN IMMEDIATE")
for i in range(int(sys.argv[2])):
    row = (i + 9, i, "x" * 400)
    connection.execute("INSERT INTO datasets VALUES (?, ?, ?, 1, 1, 1, 1, 1, 1, NULL)", row)
os.kill(os.getpid(), 9)
"""


def kill_a_writer(file: Path, rows: int = 300) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(file), str(rows)], check=False)
    assert file.with_name(f"{file.name}-journal").stat().st_size > 0


class TestHotJournal:
    def test_one_that_appears_after_the_reader_has_opened(self, full: Path) -> None:
        store = Store.read(str(full))
        truth = store.runs()
        for _ in range(2):
            kill_a_writer(full)
            assert store.runs() == truth
        assert not full.with_name(f"{full.name}-journal").exists()
        store.close()

    def test_the_first_writer_of_all_was_killed(self, file: Path) -> None:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE datasets (a, b, c, d, e, f, g, h, i, j)")
            connection.execute("DROP TABLE datasets")
            connection.execute("VACUUM")
        store = Store.read(str(file))  # pages without a table, as after the roll-back of the first transaction
        assert store.runs() == []
        store.close()
        store = Store.write(str(file))
        start(store)
        assert len(store.runs()) == 1
        store.close()

    def test_who_may_not_write_is_told_in_one_line(self, full: Path) -> None:
        kill_a_writer(full)
        full.chmod(0o444)
        program = (
            "import os, sys\n"
            "from harness.errors import StoreFault\n"
            "from harness.store.store import Store\n"
            "Store.in_memory().runs()\n"
            "if os.geteuid() == 0:\n"
            "    os.setuid(65534)\n"  # the superuser may write anything
            "try:\n"
            "    Store.read(sys.argv[1])\n"
            "except StoreFault as told:\n"
            "    print(told)\n"
        )
        for folder in (full.parent, *full.parent.parents[:3]):  # pytest keeps its folders to their owner
            folder.chmod(folder.stat().st_mode | 0o555)
        ended = subprocess.run([sys.executable, "-c", program, str(full)], capture_output=True, text=True, check=False)
        assert ended.stdout.count("\n") == 1, ended.stderr
        assert f"the database {full} is read-only here" in ended.stdout
        assert "a writer was killed and left" in ended.stdout

    @pytest.mark.slow
    def test_40_readers_beside_12_writers_that_are_killed(self, full: Path) -> None:
        truth = repr(Store.read(str(full)).runs())
        program = (
            "import sys\n"
            "from harness.store.store import Store\n"
            "print('ready', flush=True)\n"
            "for line in sys.stdin:\n"
            "    store = Store.read(sys.argv[1])\n"
            "    print(repr(store.runs()), flush=True)\n"
            "    store.close()\n"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        readers = [subprocess.Popen([sys.executable, "-c", program, str(full)], **pipes) for _ in range(10)]  # type: ignore[call-overload]
        for reader in readers:
            assert reader.stdout.readline() == "ready\n"
        writers = [subprocess.Popen([sys.executable, "-c", KILLED, str(full), "200"]) for _ in range(12)]
        told = [reader.communicate("read\n" * 4) for reader in readers]
        for writer in writers:
            assert writer.wait() == -9
        assert [err for _, err in told if err] == []
        assert [out.splitlines() for out, _ in told] == [[truth] * 4] * 10
        kill_a_writer(full)
        assert repr(Store.read(str(full)).runs()) == truth


def test_reading_opens_no_file_that_is_not_there(tmp_path: Path) -> None:
    database.open_for_reading(database.locate(str(tmp_path / "nowhere.db"))).dispose()
    assert list(tmp_path.iterdir()) == []
