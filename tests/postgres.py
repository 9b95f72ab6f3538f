"""A PostgreSQL server for tests: one cluster in a temporary folder, and a database of its own for each test."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.store.schema import METADATA

USER, PASSWORD = "owner", "s3cret-of-the-owner"
_START_S = 60.0
_QUICK = (  # what a test puts in need not outlast the machine
    *("fsync=off", "full_page_writes=off", "autovacuum=off", "shared_buffers=32MB"),
    *("max_connections=60", "logging_collector=off", "log_min_messages=fatal"),
)
_WATCHED = '"$@" & server=$!; read -r _; kill -QUIT $server; wait $server'  # the server ends with the tests


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest that are installed; None if there are none."""
    found = [Path(there).parent for there in [shutil.which("postgres")] if there]
    debian = Path("/usr/lib/postgresql")
    folders = debian.iterdir() if debian.is_dir() else []
    found += [folder / "bin" for folder in sorted(folders, key=_version, reverse=True)]
    return next((one for one in found if (one / "initdb").exists() and (one / "postgres").exists()), None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall("[0-9]+", folder.name)))


class Server:
    """A running server, whose every user needs a password.

    Args:
        settings: of the server, as ``name=value``.
    """

    def __init__(self, bin_folder: Path, settings: tuple[str, ...] = _QUICK) -> None:
        self._bin, self._settings = bin_folder, settings
        # a folder of the system's own: the server's user may not enter those of pytest
        self.folder = Path(tempfile.mkdtemp(prefix="harness-pg-"))
        self._as: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self.folder, "postgres")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._create_cluster()
        self.start()

    def _create_cluster(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self._as:
            shutil.chown(secret, "postgres")
        create = [str(self._bin / "initdb"), "-D", str(self.folder / "data"), "-U", USER, "-A", "scram-sha-256"]
        create += ["--pwfile", str(secret), "-E", "UTF8", "--no-sync"]
        # a language's own order of letters shows what relies on the order of bytes
        language = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        done = None
        for more in (language, []):
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            done = subprocess.run([*create, *more], capture_output=True, text=True, check=False, cwd="/", **self._as)
            if done.returncode == 0:
                return
        raise RuntimeError(f"initdb failed: {done and done.stderr}")

    def start(self) -> None:
        """Start, on the port that it had, or on a free one."""
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        options = ["-D", self.folder / "data", "-p", self.port, "-k", self.folder, "-h", "127.0.0.1"]
        for setting in self._settings:
            options += ["-c", setting]
        command = ["sh", "-c", _WATCHED, "sh", self._bin / "postgres", *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", **self._as
            )
        end = time.monotonic() + _START_S
        while True:
            try:
                self._maintenance("SELECT 1")
                return
            except Exception:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """End at once, as by a crash of the server."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop, and remove everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def process_ids(self) -> list[int]:
        """The server's processes: the first is the one that accepts connections."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    def url(self, name: str, user: str = USER, password: str = PASSWORD, **options: str) -> str:
        """The address of a database, with the password."""
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.port}/{name}" + (f"?{query}" if query else "")

    def create(self, template: str | None = None) -> str:
        """A new database, empty or a copy of another one that nobody uses; its name."""
        name = f"test{next(self._numbers)}"
        self._maintenance(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self._maintenance(f"DROP DATABASE {name} WITH (FORCE)")

    def end_others(self, name: str) -> None:
        """End every connection to a database."""
        self.execute(
            name,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    def empty(self, name: str) -> None:
        """Remove every row of harness but the reported figures, end whoever is connected, and number rows from 1."""
        self.end_others(name)
        tables = [table.name for table in reversed(METADATA.sorted_tables) if table.name != "reported"]
        numbers = [table.name for table in METADATA.sorted_tables if "id" in table.c]
        self.execute(
            name,
            "; ".join(f"DELETE FROM {table}" for table in tables),
            "; ".join(f"ALTER SEQUENCE {table}_id_seq RESTART" for table in numbers if table != "reported"),
        )

    def execute(self, name: str, *statements: str) -> list[tuple[Any, ...]]:
        """Perform statements in a database, each by itself; the rows of the last, if it has some."""
        import psycopg

        with contextlib.closing(psycopg.connect(self._plain(name), autocommit=True)) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _maintenance(self, statement: str) -> None:
        self.execute("postgres", statement)

    def _plain(self, name: str) -> str:
        return self.url(name).replace("+psycopg", "")


@contextlib.contextmanager
def running(settings: tuple[str, ...] = _QUICK) -> Iterator[Server]:
    """A server that ends with the context.

    Raises:
        LookupError: it cannot be started here; the text says why.
    """
    folder = programs()
    if folder is None:
        raise LookupError("PostgreSQL's programs (initdb, postgres) are not installed")
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise LookupError("psycopg is not installed: pip install 'robustness-harness[postgres]'") from None
    server = Server(folder, settings)
    try:
        yield server
    finally:
        server.close()
