"""On a server one process writes at a time, and a reader sees one moment."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from harness.errors import StoreError, StoreFault
from harness.store import database, server
from harness.store.leases import Lease
from harness.store.schema import DatasetRow
from harness.store.store import Store
from tests.harness.store.entries import make_spec, rows, see_model, see_pgd_protocol, start, start_evaluation
from tests.harness.store.holders import FAR, HERE, let_it_pass, taken


@pytest.fixture
def mine(server_url: str) -> Iterator[Store]:
    store = Store.write(server_url)
    yield store
    store.close()


@pytest.fixture
def other(server_url: str) -> Iterator[Store]:
    """Another process's store on the same database."""
    store = Store.write(server_url)
    yield store
    store.close()


@contextlib.contextmanager
def holding(store: Store) -> Iterator[None]:
    """Inside, the store is the one that writes; a transaction begins with its first statement."""
    with store._writing() as session:
        session.execute(text("SELECT 1"))
        yield


def test_a_writer_sees_what_was_there_when_its_turn_came(mine: Store, other: Store) -> None:
    with mine._writing() as first:
        first.add(DatasetRow(fingerprint="a" * 64, name="a", **SIZES))
        first.flush()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(count_datasets, other)
            time.sleep(0.3)
            assert not waiting.done()
            first.commit()
            assert waiting.result() == 1


SIZES = {"train_examples": 1, "test_examples": 1, "channels": 1, "height": 1, "width": 1, "classes": 2}


def count_datasets(store: Store) -> int:
    with store._writing() as session:
        return session.scalar(select(func.count()).select_from(DatasetRow)) or 0


def test_a_reader_sees_one_moment_and_waits_for_nobody(mine: Store, other: Store) -> None:
    start(mine)
    with other._reading() as session:
        before = session.scalar(text("SELECT count(*) FROM runs"))
        start(mine, make_spec(train_seed=9))
        assert session.scalar(text("SELECT count(*) FROM runs")) == before == 1
    with holding(mine):
        assert len(other.runs()) == 2


@pytest.mark.parametrize(
    "write",
    [
        lambda store: start(store).id,
        lambda store: see_model(store).id,
        lambda store: see_pgd_protocol(store),
        lambda store: start_evaluation(store, start(store)),
        lambda store: isinstance(store.take("an item", FAR, 60), Lease) or None,
    ],
    ids=["run", "model", "protocol", "evaluation", "lease"],
)
def test_what_many_add_at_once_is_there_once(write: Callable[[Store], object], server_url: str, mine: Store) -> None:
    stores = [Store.write(server_url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = [*pool.map(write, stores)]
    for store in stores:
        store.close()
    assert len({answer for answer in answers if answer is not None}) <= 1
    counts = {name: len(held) for name, held in rows(server_url).items() if held and name != "reported"}
    assert set(counts.values()) == {1}, counts


def test_many_that_make_one_database_make_it_once(empty_server_url: str) -> None:
    def make(_: int) -> int:
        store = Store.write(empty_server_url)
        try:
            return len(store.reported())
        finally:
            store.close()

    with ThreadPoolExecutor(4) as pool:
        counts = set(pool.map(make, range(4)))
    assert len(counts) == 1
    assert len(rows(empty_server_url)["reported"]) in counts


class TestLocked:
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "TOLD_AFTER_S", 0.1)
        monkeypatch.setattr(server, "LOCK_S", 0.4)

    def test_a_writer_is_told_and_then_refused_and_writes_nothing(
        self, mine: Store, other: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        with holding(mine), pytest.raises(StoreFault, match="is locked by another process") as told:
            start(other)
        assert "wait until that has ended, or stop it, then run the same command again" in str(told.value)
        assert [record.getMessage().partition(" test")[0] for record in caplog.records] == [
            f"the database {database.shown(other._engine.url)} is locked by another process; waiting up to 0 s for it"
        ]
        assert other.runs() == []
        start(other)
        assert len(other.runs()) == 1

    def test_a_lock_that_ends_in_time_is_waited_for(
        self, mine: Store, other: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(server, "LOCK_S", 30.0)
        told = threading.Event()

        class Listens(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                told.set()

        listens = Listens()
        logging.getLogger("harness.store").addHandler(listens)
        try:
            with ThreadPoolExecutor(1) as pool:
                with holding(mine):
                    waiting = pool.submit(start, other)
                    assert told.wait(20)
                assert waiting.result().id == 1
        finally:
            logging.getLogger("harness.store").removeHandler(listens)
        assert len(caplog.records) == 1

    def test_who_stands_still_inside_a_write_loses_the_lock_and_writes_nothing(
        self, mine: Store, other: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "'45000'" in server._STANDS_STILL  # less than the minute that others wait
        monkeypatch.setattr(server, "LOCK_S", 20.0)
        still = server._STANDS_STILL.replace("45000", "300")
        monkeypatch.setattr(server, "_STANDS_STILL", still)

        def write() -> None:
            with mine._writing() as session:
                session.add(DatasetRow(fingerprint="a" * 64, name="a", **SIZES))
                session.flush()
                start(other)  # waits until the server has ended the first one
                session.execute(text("SELECT 1"))

        with pytest.raises(StoreFault, match="ended a write in whose middle this process stood still"):
            write()
        assert [run.dataset.name for run in other.runs()] == ["digits"]
        start(mine, make_spec(train_seed=9))  # the next write has a new connection


def test_a_lease_that_was_taken_over_writes_nothing(mine: Store, other: Store) -> None:
    run = start(mine)
    first = taken(mine, "training", FAR, run_id=run.id)
    let_it_pass(mine, first)
    second = taken(other, "training", HERE, run_id=run.id)
    assert second.number > first.number
    with pytest.raises(StoreError, match="is trained by process"):
        mine.remove([run])
