"""Copying a database: whole, of one moment, undamaged, and never over another file."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import backup, database
from harness.store.copying import copy_database
from tests.harness.store.entries import snapshot

OLD = sorted((Path(__file__).parents[2] / "assets").glob("schema-*.db"))


def dumped(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def test_the_copy_has_every_row_and_nothing_else_is_made(full: Path) -> None:
    before = snapshot(full.parent)
    assert copy_database(str(full), full.with_name("copy.db")) == database.REVISION
    assert dumped(full.with_name("copy.db")) == dumped(full)
    assert snapshot(full.parent).keys() == {*before, "copy.db"}
    assert snapshot(full.parent)["board.db"] == before["board.db"]


def test_a_copy_while_another_thread_writes_is_of_one_moment(full: Path) -> None:
    """Each transaction writes one number to two tables: in every copy they are equal."""
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(full, isolation_level=None, timeout=30)) as connection:
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE runs SET parameters = ?", [number])
                connection.execute("UPDATE models SET parameters = ?", [number])
                connection.execute("COMMIT")
                written.set()
                time.sleep(0.002)  # as between two blocks; without a pause SQLite lets no reader in

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(30)  # before the first transaction the numbers differ
    try:
        for number in range(5):
            copy_database(str(full), full.with_name(f"{number}.db"))
    finally:
        stop.set()
        writer.join()
    query = "SELECT runs.parameters = models.parameters FROM runs, models"
    for number in range(5):
        with contextlib.closing(sqlite3.connect(full.with_name(f"{number}.db"))) as connection:
            assert connection.execute(query).fetchall() == [(1,)]


@pytest.mark.parametrize("old", OLD, ids=lambda file: file.stem)
def test_an_older_schema_is_copied_as_it_is(old: Path, tmp_path: Path) -> None:
    assert copy_database(str(old), tmp_path / "copy.db") == old.stem.removeprefix("schema-")
    assert dumped(tmp_path / "copy.db") == dumped(old)


def test_what_cannot_be_copied_is_refused_and_nothing_is_left(full: Path, tmp_path: Path) -> None:
    taken, other, damaged = tmp_path / "taken.db", tmp_path / "other.db", Path(shutil.copy(full, tmp_path / "bad.db"))
    taken.write_text("mine")
    with contextlib.closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE runs (id)")
    content = bytearray(full.read_bytes())
    content[-4096:] = b"\xaa" * 4096
    damaged.write_bytes(content)
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    before = snapshot(tmp_path)
    for source, destination, reason in (
        (full, taken, "is refused: it is there already"),
        (full, full, "is refused: it is there already"),
        (full, tmp_path / "link.db", "is refused: it is there already"),
        (full, tmp_path / "none" / "copy.db", "there is no folder"),
        (tmp_path / "none.db", tmp_path / "copy.db", "there is no database"),
        (other, tmp_path / "copy.db", "of another program"),
        (damaged, tmp_path / "copy.db", "is not copied, since it is damaged"),
        (full, Path("/proc/copy.db"), "choose another place"),
    ):
        with pytest.raises(StoreError, match=reason):
            copy_database(str(source), destination)
        assert snapshot(tmp_path) == before


def test_a_file_that_came_meanwhile_is_not_overwritten(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = full.with_name("copy.db")

    class Slow(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, **options: object) -> None:
            super().backup(target, **options)  # type: ignore[arg-type]
            copy.write_text("mine")

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Slow))
    with pytest.raises(StoreError, match="is there already"):
        copy_database(str(full), copy)
    assert copy.read_text() == "mine"
    assert sorted(path.name for path in full.parent.iterdir()) == ["board.db", "copy.db"]


def left_by_a_killed_writer(file: Path) -> None:
    """Leave a journal as a writer does that is killed in the middle of a transaction, and take its database away."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        " c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN IMMEDIATE');"
        " c.execute('UPDATE runs SET parameters = 7'); c.execute('CREATE TABLE filled AS WITH RECURSIVE n(i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT i, zeroblob(999) FROM n'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(file)], check=False).returncode == 9
    file.unlink()


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
def test_a_journal_of_another_database_of_that_name_is_refused(full: Path, ending: str) -> None:
    """SQLite would roll its pages back into the copy, and the copy would have other rows than its source."""
    copy = full.with_name("copy.db")
    journal = copy.with_name(copy.name + ending)
    if ending == "-journal":
        with contextlib.closing(sqlite3.connect(shutil.copy(full, copy))) as connection, connection:
            connection.execute("UPDATE runs SET parameters = 5")
        left_by_a_killed_writer(copy)
    else:
        journal.write_bytes(b"another's")
    before = snapshot(full.parent)
    assert journal.name in before
    with pytest.raises(StoreError, match=f"copy.db is refused: copy.db{ending} is there, .* move it away") as caught:
        copy_database(str(full), copy)
    assert "\n" not in str(caught.value)
    assert snapshot(full.parent) == before
    journal.rename(full.with_name("away"))
    copy_database(str(full), copy)
    assert dumped(copy) == dumped(full)


def test_a_journal_that_came_meanwhile_is_refused(full: Path) -> None:
    copy = full.with_name("copy.db")

    def leave(_: Path) -> None:
        copy.with_name("copy.db-journal").write_bytes(b"another's")

    with pytest.raises(StoreError, match=r"copy\.db-journal is there"):
        backup.back_up(full, copy, leave)
    assert sorted(path.name for path in full.parent.iterdir()) == ["board.db", "copy.db-journal"]


def test_an_upgrade_makes_no_copy_beside_a_journal(tmp_path: Path) -> None:
    file = Path(shutil.copy(OLD[-1], tmp_path / "board.db"))
    (tmp_path / f"board.{OLD[-1].stem}.db-journal").write_bytes(b"another's")
    before = snapshot(tmp_path)
    with pytest.raises(StoreError, match="db-journal is there"):
        database.upgrade_database(str(file))
    assert snapshot(tmp_path) == before


def test_a_lock_that_is_held_is_told(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "LONGEST_WAIT_S", 0.0)
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, timeout=0.05))
    copy = full.with_name("copy.db")
    with contextlib.closing(sqlite3.connect(full, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            backup.back_up(full, copy)
    assert [path.name for path in full.parent.iterdir()] == ["board.db"]


def test_a_journal_is_refused_before_anything_is_filled(tmp_path: Path) -> None:
    """A large database would else be copied first, and thrown away."""
    (tmp_path / "copy.db-wal").write_bytes(b"left behind")
    filled: list[Path] = []
    with pytest.raises(StoreError, match=r"copy\.db-wal is there"):
        backup.make_new(tmp_path / "copy.db", filled.append)
    assert filled == []
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db-wal"]
