"""What a server refuses, and how it fails, in one line each, without the password."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from harness.errors import DamagedDatabase, StoreError, StoreFault
from harness.store import connecting, database, server
from harness.store.schema import DatasetRow
from harness.store.store import Store
from tests.harness.store.entries import make_spec, rows, start
from tests.postgres import PASSWORD, Server


@pytest.fixture
def mine(server_url: str) -> Iterator[Store]:
    store = Store.write(server_url)
    yield store
    store.close()


SIZES = {"train_examples": 1, "test_examples": 1, "channels": 1, "height": 1, "width": 1, "classes": 2}


def told_of(opening: Callable[[str], object], url: str) -> str:
    with pytest.raises(StoreError) as told:
        opening(url)
    line = str(told.value)
    assert "\n" not in line
    assert PASSWORD not in line
    assert "pass-of-ann" not in line
    return line


OPENINGS = pytest.mark.parametrize("opening", [Store.read, Store.write], ids=["read", "write"])


@OPENINGS
class TestRefused:
    def test_a_wrong_password(self, opening: Callable[[str], Store], postgres: Server, server_database: str) -> None:
        for url in (postgres.url(server_database, password="wrong-one"), postgres.url(server_database, user="nobody")):
            assert "refuses the user's name or password: correct them in the URL" in told_of(opening, url)

    def test_a_database_that_is_not_there(self, opening: Callable[[str], Store], postgres: Server) -> None:
        assert "is not on its server: make it, by `createdb`" in told_of(opening, postgres.url("nowhere"))

    def test_a_port_where_nothing_listens(self, opening: Callable[[str], Store], postgres: Server) -> None:
        url = postgres.url("x").replace(str(postgres.port), "1")
        assert "cannot be reached: nothing listens there" in told_of(opening, url)

    def test_a_host_that_nobody_knows(self, opening: Callable[[str], Store], postgres: Server) -> None:
        url = postgres.url("x").replace("127.0.0.1", "no-such-host.invalid")
        assert "cannot be reached: its host is not known; correct the URL" in told_of(opening, url)

    def test_an_address_that_does_not_answer(self, opening: Callable[[str], Store]) -> None:
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            began = time.monotonic()
            url = f"postgresql://me:{PASSWORD}@127.0.0.1:{mute.getsockname()[1]}/x?connect_timeout=2"
            assert "does not answer: nothing came within 2 s" in told_of(opening, url)
            assert 1.5 < time.monotonic() - began < 15

    def test_options_that_nobody_knows(self, opening: Callable[[str], Store], postgres: Server) -> None:
        assert "has an option that its driver refuses" in told_of(opening, postgres.url("x", nonsense="1"))
        assert "does not offer TLS, for which the URL asks" in told_of(opening, postgres.url("x", sslmode="require"))

    def test_another_driver_and_another_kind(self, opening: Callable[[str], Store]) -> None:
        line = told_of(opening, f"postgresql+psycopg2://me:{PASSWORD}@host/x")
        assert line == "the driver of the database URL is refused: harness uses psycopg; write postgresql+psycopg://"
        assert "harness keeps results in SQLite or PostgreSQL" in told_of(opening, f"mysql://me:{PASSWORD}@host/x")

    def test_a_driver_that_is_not_installed(
        self, opening: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def without(*_: object, **__: object) -> None:
            raise ModuleNotFoundError("No module named 'psycopg'")

        monkeypatch.setattr(connecting, "create_engine", without)
        line = told_of(opening, f"postgresql+psycopg://me:{PASSWORD}@host/x")
        assert line.endswith("pip install 'robustness-harness[postgres]'")
        assert "needs the driver psycopg" in line


def test_the_wait_for_an_answer_is_five_seconds() -> None:
    assert server.seconds_to_connect(database.locate("postgresql://host/x")) == "5"
    options = server.engine_options(database.locate("postgresql://host/x"), read_only=True)
    assert options["connect_args"]["connect_timeout"] == 5


def test_a_plain_url_gets_the_driver_and_a_name_that_is_shown_has_no_password() -> None:
    for scheme in ("postgresql", "postgresql+psycopg", "postgres"):
        url = database.locate(f"{scheme}://ann:{PASSWORD}@host:5432/board?sslpassword={PASSWORD}")
        assert url.drivername == "postgresql+psycopg"
        assert database.shown(url) == "postgresql+psycopg://***@host:5432/board?sslpassword=***"


class TestRights:
    @pytest.fixture
    def ann(self, postgres: Server, server_template: str) -> Iterator[str]:
        """The address of a database for a user who may read it, and nothing else."""
        name = postgres.create(server_template)
        postgres.execute(
            name,
            "CREATE ROLE ann LOGIN PASSWORD 'pass-of-ann'",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ann",
        )
        yield postgres.url(name, "ann", "pass-of-ann")
        postgres.drop(name)
        postgres.execute("postgres", "DROP ROLE ann")

    def test_who_may_read_reads_and_is_refused_when_it_writes(self, ann: str) -> None:
        reading = Store.read(ann)
        assert len(reading.reported()) > 300
        reading.close()
        writing = Store.write(ann)
        before = rows(ann)
        line = told_of(lambda _: start(writing), ann)
        writing.close()
        assert "refuses this to its user (permission denied for table datasets): have its owner grant" in line
        assert rows(ann) == before

    def test_who_may_not_read_is_refused(self, ann: str, postgres: Server) -> None:
        name = ann.rpartition("/")[2]
        postgres.execute(name, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ann")
        assert "refuses this to its user (permission denied for" in told_of(Store.read, ann)
        postgres.execute(name, "REVOKE CONNECT ON DATABASE " + name + " FROM PUBLIC")
        assert "refuses this to its user" in told_of(Store.read, ann)

    def test_who_may_make_no_tables_is_refused(self, ann: str, postgres: Server) -> None:
        name = postgres.create()
        url = postgres.url(name, "ann", "pass-of-ann")
        assert "refuses this to its user (permission denied for schema public)" in told_of(Store.write, url)
        assert Store.read(url).runs() == []
        postgres.drop(name)

    def test_a_database_that_is_set_to_be_read_only(self, ann: str, postgres: Server) -> None:
        name = ann.rpartition("/")[2]
        postgres.execute(name, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        store = Store.write(postgres.url(name))
        assert "can only be read" in told_of(lambda _: start(store), ann)
        store.close()

    def test_what_another_program_made_is_refused(self, ann: str, postgres: Server) -> None:
        name = postgres.create()
        postgres.execute(name, "CREATE TABLE theirs (a INT)")
        for opening in (Store.read, Store.write):
            assert "is a database of another program" in told_of(opening, postgres.url(name))
        postgres.drop(name)

    def test_a_table_that_somebody_dropped(self, ann: str, postgres: Server) -> None:
        name = ann.rpartition("/")[2]
        postgres.execute(name, "DROP TABLE epochs CASCADE")
        store = Store.read(postgres.url(name))
        with pytest.raises(DamagedDatabase, match=r'a part of its schema .*relation "epochs" does not exist'):
            store.listed_runs()
        store.close()


class TestGone:
    def test_a_server_that_goes_away_and_comes_back(self, own_server: Server) -> None:
        url = own_server.url(own_server.create())
        store = Store.write(url)
        start(store)
        own_server.stop()
        for use in (store.runs, lambda: start(store, make_spec(train_seed=9)), lambda: Store.read(url)):
            line = told_of(lambda _, use=use: use(), url)  # type: ignore[misc]
            assert "went away in the middle of the work" in line or "cannot be reached" in line
        own_server.start()
        assert len(store.runs()) == 1  # what was stored is kept, and the same store goes on

        def write() -> None:
            with store._writing() as session:
                session.add(DatasetRow(fingerprint="a" * 64, name="a", **SIZES))
                session.flush()
                own_server.stop()

        with pytest.raises(StoreFault, match="went away in the middle of the work"):
            write()
        own_server.start()
        assert len(rows(url)["datasets"]) == 1
        start(store, make_spec(train_seed=9))
        store.close()

    def test_a_connection_that_the_administrator_ends(
        self, mine: Store, postgres: Server, server_database: str
    ) -> None:
        def write() -> None:
            with mine._writing() as session:
                session.execute(text("SELECT 1"))
                postgres.end_others(server_database)
                session.execute(text("SELECT 1"))

        with pytest.raises(StoreFault, match="went away in the middle of the work"):
            write()
        postgres.end_others(server_database)
        assert mine.runs() == []  # between two transactions nobody notices

    def test_a_server_that_stands_still_is_waited_for_when_it_is_called(self, own_server: Server) -> None:
        url = own_server.url(own_server.create(), connect_timeout="2")
        processes = own_server.process_ids
        os.kill(processes[0], signal.SIGSTOP)
        try:
            assert "does not answer: nothing came within 2 s" in told_of(Store.read, url)
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):  # one that served a connection has ended with it
                    os.kill(process, signal.SIGCONT)
        assert Store.read(url).runs() == []
