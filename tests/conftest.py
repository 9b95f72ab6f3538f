"""One torch thread a worker: with two, a busy second core makes small networks many times slower."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from hypothesis import settings
from sqlalchemy import URL, Engine, create_engine, event, inspect
from sqlalchemy.pool import StaticPool

from harness.store import connecting, database
from harness.store.connecting import engine_on
from harness.store.store import Store
from tests import postgres as servers

_EVERY_STEP = database._migrate

# no deadline: a slow machine is no failure; the same examples every time: nor is bad luck
settings.register_profile("harness", deadline=None, derandomize=True)
settings.load_profile("harness")


def pytest_collection_finish() -> None:
    """Modules stay to the end: the collector need not look at their objects again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def no_times_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the user has measured with ``harness bench`` must not change an estimate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        fonts = Path(tempfile.gettempdir()) / "harness-tests-matplotlib"  # matplotlib's list of fonts takes seconds
        patch.setenv("MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR") or str(fonts))
        yield


@pytest.fixture(autouse=True, scope="session")
def databases_wait_for_no_disk() -> Iterator[None]:
    """No test cuts the power: SQLite need not wait until each commit of this process has reached the disk."""

    def set_up(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            cursor = sqlite3.Cursor(connection)  # which does not wait for a lock, nor tells of it, as harness's does
            cursor.execute("PRAGMA busy_timeout = 0")  # harness sets its own afterwards
            with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):  # locked, or damaged: for harness to find
                cursor.execute("PRAGMA synchronous = OFF")
            cursor.close()

    event.listen(Engine, "connect", set_up)
    yield
    event.remove(Engine, "connect", set_up)


@pytest.fixture(autouse=True, scope="session")
def statements_are_compiled_once() -> Iterator[None]:
    """SQLAlchemy compiles each statement once an engine: here all engines of SQLite share what is compiled."""
    first = create_engine("sqlite://", query_cache_size=10_000)

    def sharing(url: URL, **options: Any) -> Engine:
        engine = create_engine(url, **options)
        if url.get_backend_name() == "sqlite":
            engine._compiled_cache = first._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        dialect = type(first.dialect)  # a part of each key; an engine has its own, with its own listeners
        patch.setattr(dialect, "__eq__", lambda one, other: type(one) is type(other))
        patch.setattr(dialect, "__hash__", lambda one: hash(type(one)))
        patch.setattr(connecting, "create_engine", sharing)
        yield
    first.dispose()


@pytest.fixture(autouse=True, scope="session")
def new_databases_are_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every step of the schema takes time: a new database is a copy of one that went through them."""
    template = tmp_path_factory.mktemp("template") / "new.db"
    Store.write(str(template)).close()
    made = database.in_memory()
    kept = made.raw_connection().driver_connection

    def copied(engine: Engine) -> None:
        if not inspect(engine).get_table_names() and database.sqlite_file(engine.url) is not None:
            with contextlib.closing(sqlite3.connect(template)) as source:
                _copy(source, engine)
        else:
            _EVERY_STEP(engine)

    def copied_in_memory() -> Engine:
        engine = engine_on(made.url, "in memory", poolclass=StaticPool)
        _copy(kept, engine)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_migrate", copied)
        patch.setattr(database, "in_memory", copied_in_memory)
        yield
    made.dispose()


def _copy(source: Any, engine: Engine) -> None:
    with contextlib.closing(engine.raw_connection()) as raw:
        source.backup(raw.driver_connection)


@pytest.fixture(autouse=True, scope="session")
def commands_are_read_once() -> Iterator[None]:
    """Typer reads the signature of every command anew for each command line; a user's process has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def every_step_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database goes through every step of the schema, as a user's does."""
    monkeypatch.setattr(database, "_migrate", _EVERY_STEP)


@contextlib.contextmanager
def running_server() -> Iterator[servers.Server]:
    """A PostgreSQL server; where it cannot be started, the test is skipped."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(servers.running())
        except LookupError as reason:
            pytest.skip(str(reason))
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Server]:
    """The server of this session."""
    with running_server() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[servers.Server]:
    """A server that the test may stop."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def server_template(postgres: servers.Server) -> str:
    """The name of a database of the newest schema; for a test that changes tables, it is copied."""
    name = postgres.create()
    Store.write(postgres.url(name)).close()
    return name


@pytest.fixture(scope="session")
def server_database(postgres: servers.Server, server_template: str) -> str:
    """The name of a database of the newest schema, in which one test after the other has its rows."""
    return postgres.create(server_template)


@pytest.fixture
def server_url(postgres: servers.Server, server_database: str) -> str:
    """The address, with the password, of a database of the newest schema without runs. Leave its tables as they are."""
    postgres.empty(server_database)  # a copy of a database would take ten times as long
    return postgres.url(server_database)


@pytest.fixture(scope="session")
def other_server_database(postgres: servers.Server, server_template: str) -> str:
    """As ``server_database``, for a test that needs two."""
    return postgres.create(server_template)


@pytest.fixture
def other_server_url(postgres: servers.Server, other_server_database: str) -> str:
    """As ``server_url``, of another database."""
    postgres.empty(other_server_database)
    return postgres.url(other_server_database)


@pytest.fixture
def empty_server_url(postgres: servers.Server) -> Iterator[str]:
    """The address of a database without tables."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)
