"""What a server says of itself, for `harness doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from sqlalchemy import text
from sqlalchemy.engine import URL

from harness.store import database
from harness.store.connecting import engine_on


@dataclass(frozen=True)
class ServerFacts:
    """A server and its driver.

    Attributes:
        keeps: whether a write that has ended outlasts a crash of its machine.
    """

    version: str
    driver: str
    keeps: bool


def server_facts(url: URL) -> ServerFacts:
    """Ask a server.

    Raises:
        StoreError: it cannot be reached, or refuses its user.
    """
    engine = engine_on(url, database.shown(url), read_only=True)
    settings = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    try:
        with engine.connect() as connection:
            version, *safe = (str(connection.scalar(text(f"SHOW {name}"))) for name in settings)
    finally:
        engine.dispose()
    return ServerFacts(version.partition(" ")[0], metadata.version("psycopg"), "off" not in safe)
