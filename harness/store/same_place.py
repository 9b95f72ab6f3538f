"""Whether two locations are one database, however each of them is written."""

from __future__ import annotations

import secrets

from sqlalchemy import func, select
from sqlalchemy.engine import URL

from harness.store import database
from harness.store.connecting import engine_on
from harness.store.server import is_server


def is_same(one: URL, other: URL) -> bool:
    """Whether they are the same file, or the same tables on the same server; False where one of them is not there.

    Raises:
        StoreError: a server cannot be reached.
    """
    files = database.sqlite_file(one), database.sqlite_file(other)
    if files[0] is not None and files[1] is not None:
        return files[0].exists() and files[1].exists() and files[0].samefile(files[1])
    return is_server(one) and is_server(other) and _is_same_on_server(one, other)


def _is_same_on_server(one: URL, other: URL) -> bool:
    """A lock that one connection has cannot be had by another one to the same database: names of hosts tell less."""
    number = secrets.randbits(62)
    lock = select(func.current_schema(), func.pg_try_advisory_xact_lock(number))
    engines = [engine_on(url, database.shown(url), read_only=True) for url in (one, other)]
    try:
        with engines[0].connect() as first, engines[1].connect() as second:
            (schema, _), (other_schema, free) = first.execute(lock).one(), second.execute(lock).one()
            return not free and schema == other_schema
    finally:
        for engine in engines:
            engine.dispose()
