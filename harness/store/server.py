"""A database on a PostgreSQL server: its address, its connections, how long is waited, and how writers take turns.

SQLite lets one process write at a time, and shows a reader one moment. Here a transaction that writes first takes a
lock of harness's own: what it reads cannot change before it writes. One that reads sees one moment (REPEATABLE READ).
"""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from harness.errors import StoreError, StoreFault
from harness.store.json_numbers import server_text, server_value

BACKEND = "postgresql"
DRIVER = "postgresql+psycopg"
CONNECT_S = 5
TOLD_AFTER_S = 2.0
LOCK_S = 60.0
LOCK_TIMEOUT = "55P03"  # the code of PostgreSQL

WRITING = {"isolation_level": "READ COMMITTED"}  # each statement sees what is there, above all after the lock is taken

_TURN = int.from_bytes(b"harness", "big")  # the lock's number; PostgreSQL keeps those of each database apart
# for so long a process may hold the lock and do nothing; then the server takes it away, before the others give up
_STANDS_STILL = "set_config('idle_in_transaction_session_timeout', '45000', true)"
_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
_log = logging.getLogger("harness.store")


def is_server(url: URL) -> bool:
    """Whether a URL names a PostgreSQL server."""
    return url.get_backend_name() == BACKEND


def with_driver(url: URL) -> URL:
    """The URL with the driver that harness uses; a URL of another kind of database as it is.

    Raises:
        StoreError: it names another driver of PostgreSQL.
    """
    if url.drivername in (BACKEND, "postgres"):
        return url.set(drivername=DRIVER)
    if is_server(url) and url.drivername != DRIVER:
        raise StoreError(f"the driver of the database URL is refused: harness uses psycopg; write {DRIVER}://")
    return url


def engine_options(url: URL, *, read_only: bool) -> dict[str, Any]:
    """What ``create_engine`` is told; what the URL itself says goes first."""
    told = {"connect_timeout": CONNECT_S, "application_name": "harness", **_ALIVE}
    return {
        "connect_args": {key: value for key, value in told.items() if key not in url.query},
        "pool_pre_ping": True,  # a server that was started anew between two transactions is no failure
        "isolation_level": "REPEATABLE READ",  # of what only reads
        "execution_options": {"postgresql_readonly": True} if read_only else {},
        "json_serializer": server_text,
        "json_deserializer": server_value,
    }


def seconds_to_connect(url: URL) -> str:
    """How long an address may take to answer, in seconds."""
    return str(url.query.get("connect_timeout", CONNECT_S))


def take_turn(connection: Connection, name: str, told: list[str]) -> None:
    """Wait until this transaction is the only one that writes; after two seconds, tell that it waits.

    Args:
        connection: has just begun its transaction.
        name: the database, for the note.
        told: has an entry once the note is out.
    Raises:
        StoreFault: another process kept the lock for a minute, or the server is gone.
    """
    if connection.exec_driver_sql(f"SELECT {_STANDS_STILL}, pg_try_advisory_xact_lock({_TURN})").one()[1]:
        return
    try:
        _wait_for_turn(connection, min(TOLD_AFTER_S, LOCK_S))
        return
    except StoreFault as error:  # the transaction is rolled back; the next statement begins it again
        if getattr(error.__cause__, "sqlstate", None) != LOCK_TIMEOUT or LOCK_S <= TOLD_AFTER_S:
            raise
    if not told:
        told.append(name)
        seconds = round(LOCK_S - TOLD_AFTER_S)
        _log.warning("the database %s is locked by another process; waiting up to %d s for it", name, seconds)
    _wait_for_turn(connection, LOCK_S - TOLD_AFTER_S)


def _wait_for_turn(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"SELECT {_STANDS_STILL}, set_config('lock_timeout', '{round(seconds * 1000)}', true)")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURN})")
