"""A database that fails says in one line what happened, in which file, and what to do; a bug keeps its traceback."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, OperationalError

from harness.errors import StoreError, StoreFault
from harness.store import database, failures
from harness.store.schema import ReportedRow
from harness.store.server_failures import failure_of_server
from harness.store.store import Store
from tests.full_disk import largest_file
from tests.harness.store.entries import epoch, make_spec, snapshot, start

Damage = Callable[[bytes], bytes]


def url_of(file: Path) -> URL:
    return URL.create("sqlite", database=str(file))


def one_line_about(file: Path, error: BaseException) -> str:
    line = str(error)
    assert str(file) in line
    assert "\n" not in line
    return line


class TestFullDisk:
    def test_the_last_page_is_the_limit(self, full: Path) -> None:
        before = Store.read(str(full)).runs()
        engine = database.open_for_writing(url_of(full))
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
        store = Store(engine)
        long = make_spec(train_seed=77, training={"epsilon": 0.1, "epochs": 2, "text": "x" * 100_000})
        why = r"its disk is full .*; free some space, then run the same command"
        with pytest.raises(StoreFault, match=why) as told:
            start(store, long)
        one_line_about(full, told.value)
        store.close()
        again = Store.write(str(full))
        assert again.runs()[0] == before[0]
        start(again, long)
        again.close()

    @pytest.mark.parametrize("room", [0, 512, 4096, 8192, 40_000])
    def test_at_any_place_of_a_write_nothing_of_it_is_kept(self, full: Path, room: int) -> None:
        store = Store.write(str(full))
        before = store.runs()
        long = make_spec(train_seed=77, training={"epsilon": 0.1, "epochs": 2, "text": "x" * 100_000})
        with largest_file(full.stat().st_size + room if room > 512 else room), pytest.raises(StoreFault) as told:
            start(store, long)
        one_line_about(full, told.value)
        assert store.runs() == before
        start(store, long)
        assert len(store.runs()) == len(before) + 1
        store.close()


def damaged_at(page: int, content: Callable[[int], bytes]) -> Damage:
    def damage(whole: bytes) -> bytes:
        size = int.from_bytes(whole[16:18], "big")
        return whole[: page * size] + content(size) + whole[(page + 1) * size :]

    return damage


READING: dict[str, Callable[[Store], object]] = {
    "runs": Store.runs,
    "run": lambda store: store.run(1),
    "newest runs": Store.newest_runs,
    "newest attempt": lambda store: store.newest_attempt(make_spec().identity),
    "removed attempts": Store.removed_attempts,
    "models": Store.models,
    "protocols": Store.protocols,
    "reported": Store.reported,
    "blocks": lambda store: store.blocks(1),
    "verdicts": lambda store: store.verdicts(1),
    "margins": lambda store: store.margins(1),
    "predicted": lambda store: store.predicted(1),
    "judgements": lambda store: [part.tolist() for part in vars(store.judgements({1: 10})).values()],
    "adversarial images": lambda store: store.adversarial_images(1),
    "evaluated": lambda store: store.evaluated(1),
    "previous attempt": lambda store: store.previous_attempt(1),
    "checkpoint": lambda store: store.checkpoint(1),
    "histograms": lambda store: store.histograms(1),
    "curves": lambda store: store.curves(1),
}


def read_all(file: Path) -> dict[str, str]:
    """What each reading function gives, or the line that it refuses with."""
    try:
        store = Store.read(str(file))
    except StoreError as error:
        return dict.fromkeys(READING, f"refused: {error}")
    found = {}
    for name, read in READING.items():
        try:
            found[name] = repr(read(store))
        except StoreError as error:
            found[name] = f"refused: {error}"
    store.close()
    return found


def check_damage(file: Path, share: slice) -> None:
    """Garbage in place of a page is refused in one line by whatever reads it, and all else reads as before."""
    whole, truth, refused = file.read_bytes(), read_all(file), set()
    assert not any(text.startswith("refused") for text in truth.values())
    noise = random.Random(5)
    for page in range(len(whole) // int.from_bytes(whole[16:18], "big"))[share]:
        for content in (noise.randbytes, bytes, lambda size: b"\xff" * size):  # noise, zeros, ones
            file.write_bytes(damaged_at(page, content)(whole))
            for name, found in read_all(file).items():
                if found != truth[name]:
                    assert found.startswith("refused: "), (page, name)
                    assert str(file) in found
                    assert "\n" not in found
                    refused.add(name)
    assert refused, "no page was read at all"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as too large to be read as a whole whenever it is opened."""
    monkeypatch.setattr(failures, "CHECKED_BYTES", 0)


class TestDamage:
    def test_some_pages(self, full: Path) -> None:
        check_damage(full, slice(1, None, 23))

    @pytest.mark.usefixtures("large")
    def test_some_pages_of_a_large_file(self, full: Path) -> None:
        check_damage(full, slice(2, None, 23))

    @pytest.mark.slow
    def test_every_page(self, full: Path) -> None:
        check_damage(full, slice(None))

    @pytest.mark.slow
    @pytest.mark.usefixtures("large")
    def test_every_page_of_a_large_file(self, full: Path) -> None:
        check_damage(full, slice(None))

    def test_damage_that_no_query_meets_is_refused(self, full: Path) -> None:
        """An index that lost its rows makes queries return fewer: the evaluations of a checkpoint, here none."""
        with contextlib.closing(sqlite3.connect(full)) as connection:
            (root,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_evaluations_1'"
            ).fetchone()
        whole = full.read_bytes()

        def empty(size: int) -> bytes:
            """A leaf of an index, without cells."""
            return (bytes([10, 0, 0, 0, 0]) + size.to_bytes(2, "big")).ljust(size, b"\0")

        full.write_bytes(damaged_at(root - 1, empty)(whole))
        for opening in (Store.read, Store.write):
            with pytest.raises(StoreFault, match="is damaged: row 1 missing from index") as told:
                opening(str(full))
            one_line_about(full, told.value)

    @pytest.mark.usefixtures("large")
    def test_rows_that_were_fetched_before_the_damage_do_not_hide_it(self, full: Path) -> None:
        with contextlib.closing(sqlite3.connect(full)) as connection:
            (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'reported'").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        whole = full.read_bytes()
        header = whole[(root - 1) * size :][:12]
        assert header[0] == 5, "an inner page of a table"
        last = int.from_bytes(header[8:], "big")
        full.write_bytes(damaged_at(last - 1, bytes)(whole))
        engine = database.open_for_reading(url_of(full))
        query, seen = select(ReportedRow.note, ReportedRow.std_percent), list[object]()
        with engine.connect() as reading:
            rows = reading.execution_options(yield_per=1).execute(query)
            with pytest.raises(StoreFault, match="is damaged"):
                deque(map(seen.append, rows))
        assert seen
        engine.dispose()

    @pytest.mark.parametrize(
        "statement",
        ["DROP TABLE checkpoints", "ALTER TABLE runs DROP COLUMN note", "ALTER TABLE epochs RENAME TO other"],
    )
    def test_a_part_of_the_schema_is_gone(self, full: Path, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(full)) as connection:
            views = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
            for (view,) in views:  # SQLite refuses the change of a table that a view reads
                connection.execute(f"DROP VIEW {view}")
            connection.execute(statement)
        store = Store.read(str(full))
        with pytest.raises(StoreFault, match="is damaged: it lacks a part of its schema") as told:
            store.runs()
        one_line_about(full, told.value)
        store.close()

    def test_a_text_that_is_none(self, full: Path) -> None:
        with contextlib.closing(sqlite3.connect(full)) as connection, connection:
            connection.execute("UPDATE runs SET note = CAST(x'ff' AS TEXT)")
        store = Store.read(str(full))
        with pytest.raises(StoreFault, match="is damaged: a text in it is not UTF-8") as told:
            store.runs()
        one_line_about(full, told.value)
        store.close()

    def test_a_broken_rule_is_damage_where_the_file_is_damaged(self, full: Path) -> None:
        with contextlib.closing(sqlite3.connect(full)) as connection:
            (page,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_reported%'"
            ).fetchone()
        engine = database.open_for_writing(url_of(full))
        full.write_bytes(damaged_at(page - 1, bytes)(full.read_bytes()))
        with pytest.raises(StoreFault, match="is damaged: its rows contradict each other"), engine.begin() as writing:
            writing.execute(text("UPDATE runs SET attempt = 0"))
        engine.dispose()


class TestBugs:
    """A statement that no database could perform is a fault of harness, and is told as one."""

    @pytest.mark.parametrize("statement", ["SELECT * FROM nonsense", "SELECT runs.nonsense FROM runs", "SELEC 1"])
    def test_a_wrong_statement(self, full: Path, statement: str) -> None:
        engine = database.open_for_reading(url_of(full))
        with pytest.raises(OperationalError), engine.connect() as reading:
            reading.execute(text(statement))
        engine.dispose()

    def test_a_rule_that_our_statement_breaks(self, full: Path) -> None:
        engine = database.open_for_writing(url_of(full))
        with pytest.raises(IntegrityError), engine.begin() as writing:
            writing.execute(text("UPDATE runs SET attempt = 0"))
        engine.dispose()


class TestServer:
    def test_a_server_that_is_gone_is_told_without_the_password(self) -> None:
        gone = OperationalError("SELECT 1", {}, Exception("server at me:hunter2@host\nis gone"))
        told = failure_of_server(gone, "postgresql://me:***@host/x", "postgresql://me:hunter2@host/x")
        assert told is not None
        assert "hunter2" not in str(told)
        assert "the database postgresql://me:***@host/x failed: Exception; see that its server can be" in str(told)
        plain = OperationalError("SELECT 1", {}, Exception("server at host is gone\n"))
        told = failure_of_server(plain, "postgresql://***@host/x", "postgresql://meier:hunter2@host/xyz")
        assert "server at host is gone; see that its server can be reached" in str(told)
        assert failure_of_server(IntegrityError("", {}, Exception("unique")), "x", "x") is None


def test_a_failure_fails_no_run_and_leaves_the_file_as_it_was(full: Path, tmp_path: Path) -> None:
    store = Store.write(str(full))
    before = snapshot(tmp_path)
    with largest_file(0), pytest.raises(StoreFault):
        store.add_epoch(1, epoch(2))
    assert snapshot(tmp_path) == before
    store.close()
