"""What a database server that fails means to its user: what happened, and what to do next, in one line."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from harness.errors import DamagedDatabase, StoreFault
from harness.locations import told_by
from harness.store.schema import METADATA

AGAIN = "run the same command again: what was stored is kept"
_RELATION = re.compile(r'(?:relation|column) "?(?:\w+\.)*(\w+)"?')


def failure_of_server(error: BaseException, name: str, address: str, waited_s: str = "") -> StoreFault | None:
    """The line that tells an error of a server, or of the way to it; None for an error that only a bug can cause.

    Args:
        name: the database, for the message.
        address: the URL with its password, of which a driver's text may quote a part.
        waited_s: for how many seconds a connection is waited for.
    """
    if not isinstance(error, DBAPIError):
        return None
    cause = error.orig or error
    code, first = getattr(cause, "sqlstate", None) or "", str(cause).strip().partition("\n")[0]
    text = told_by(first, address) or type(cause).__name__
    if code in ("42P01", "42703") and _is_of_schema(first):
        return DamagedDatabase(
            f"the database {name} lacks a part of its schema ({text}); put back a backup of it, or give another --db"
        )
    tell = _BY_CODE.get(code) or _BY_CLASS.get(code[:2]) or (None if code else _by_text(cause, first))
    if tell is None and isinstance(error, (OperationalError, InterfaceError)):
        tell = _failed
    return None if tell is None else StoreFault(f"the database {name} {tell(waited_s if tell is _silent else text)}")


def _is_of_schema(text: str) -> bool:
    """Whether what is missing belongs to the schema; else the statement is a bug."""
    found = _RELATION.search(text)
    columns = {column.name for table in METADATA.tables.values() for column in table.c}
    return found is not None and (found[1] in METADATA.tables or found[1] in columns)


def _by_text(cause: BaseException, text: str) -> Callable[[str], str] | None:
    """What tells an error that has no code: of a connection that was not made, or that broke."""
    if type(cause).__name__ == "ConnectionTimeout":
        return _silent
    return next((tell for words, tell in _BY_TEXT if words.search(text)), None)


def _failed(text: str) -> str:
    return f"failed: {text}; see that its server can be reached, then {AGAIN}"


def _silent(waited_s: str) -> str:
    return (
        f"does not answer: nothing came within {waited_s} s; see that host and port are right, and that its server"
        f" runs, then {AGAIN}"
    )


def _refused(_text: str) -> str:
    return "refuses the user's name or password: correct them in the URL, or the password in PGPASSWORD or ~/.pgpass"


def _unknown(_text: str) -> str:
    return "is not on its server: make it, by `createdb` for example, or correct its name in the URL"


def _no_right(text: str) -> str:
    return f"refuses this to its user ({text}): have its owner grant the right, or give another user in the URL"


def _not_let_in(_text: str) -> str:
    return "lets this user not in from this machine: have the server's administrator add a line to pg_hba.conf"


def _read_only(text: str) -> str:
    return f"can only be read ({text}): its server follows another one, or is set so; give another --db"


def _locked(text: str) -> str:
    return f"is locked by another process ({text}); wait until that has ended, or stop it, then {AGAIN}"


def _stood_still(_text: str) -> str:
    return f"ended a write in whose middle this process stood still; nothing of that write was stored: {AGAIN}"


def _full(text: str) -> str:
    return f"cannot be written: the disk of its server is full ({text}); free some space there, then {AGAIN}"


def _no_connection(text: str) -> str:
    return f"has no connection left ({text}); end some commands, or raise its max_connections, then {AGAIN}"


def _not_yet(text: str) -> str:
    return f"is being started or shut down ({text}); wait until its server runs, then {AGAIN}"


def _gone(text: str) -> str:
    return f"went away in the middle of the work ({text}); see that its server runs, then {AGAIN}"


def _ended(text: str) -> str:
    return f"ended the work ({text}); {AGAIN}"


def _no_server(_text: str) -> str:
    return (
        f"cannot be reached: nothing listens there; see that host and port are right, and its server runs, then {AGAIN}"
    )


def _no_host(_text: str) -> str:
    return "cannot be reached: its host is not known; correct the URL"


def _no_option(_text: str) -> str:
    return "has an option that its driver refuses; correct the URL"


def _no_tls(_text: str) -> str:
    return (
        "does not offer TLS, for which the URL asks; have its administrator switch it on, or correct sslmode in the URL"
    )


def _too_large(text: str) -> str:
    return f"cannot hold a number ({text}): its whole numbers end at 2,147,483,647"


def _no_text(_text: str) -> str:
    return "cannot hold a text with the character NUL; remove that from the name, or from the row that is copied"


_BY_CODE: dict[str, Callable[[str], str]] = {
    "28P01": _refused,
    "28000": _refused,
    "3D000": _unknown,
    "3F000": _no_right,
    "42501": _no_right,
    "25006": _read_only,
    "55P03": _locked,
    "25P03": _stood_still,
    "53100": _full,
    "53300": _no_connection,
    "57P03": _not_yet,
    "22003": _too_large,
}
_BY_CLASS = {"08": _gone, "57": _gone, "40": _ended, "53": _ended}
_BY_TEXT = (  # the driver's, in the order in which they are looked for
    (re.compile("timeout expired"), _silent),
    (re.compile("NUL"), _no_text),
    (re.compile(r'database ".*" does not exist'), _unknown),
    (re.compile("permission denied for database"), _no_right),
    (re.compile(r"pg_hba\.conf"), _not_let_in),
    (re.compile("starting up|shutting down"), _not_yet),
    (re.compile("too many|connection slots"), _no_connection),
    (
        re.compile(r'authentication failed|no password supplied|role ".*" does not exist|not permitted to log in'),
        _refused,
    ),
    (re.compile("invalid .*(?:option|parameter|value)"), _no_option),
    (re.compile("does not support SSL"), _no_tls),
    (re.compile("failed to resolve host|could not translate host name"), _no_host),
    (re.compile("Connection refused|No such file or directory"), _no_server),
    (re.compile("server closed the connection|connection is lost|connection is closed"), _gone),
)
