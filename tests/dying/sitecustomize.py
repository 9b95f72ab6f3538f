"""Kills a process at one of its own calls: the n-th commit, fsync, rename, link, or unlink, before or after the call.

Python imports this module at its start where this folder is on PYTHONPATH, so the product needs no hook. The variable
says where, such as ``HARNESS_DIE_AT=rename:3`` or ``commit:7:after``. Each process counts its own calls; processes that
it starts inherit the variable.
"""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

VARIABLE = "HARNESS_DIE_AT"
CALLS = {"fsync": ("fsync",), "rename": ("rename", "replace"), "link": ("link",), "unlink": ("unlink", "remove")}
KINDS = ("commit", *CALLS)


def arm() -> None:
    """Have this process die where the variable says; without it, change nothing."""
    named = os.environ.get(VARIABLE)
    if not named:
        return
    kind, number, when = [*named.split(":"), "before"][:3]
    left = [int(number)]

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def counted(*given: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            found = call(*given, **options)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return counted

    if kind == "commit":
        _count_commits(mortal)
    for name in CALLS.get(kind, ()):
        setattr(os, name, mortal(getattr(os, name)))


def _count_commits(mortal: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Count the commits that change a row, and the copies of whole databases."""
    whole, connect = sqlite3.Connection, sqlite3.connect
    commit, copy = mortal(whole.commit), mortal(whole.backup)

    class Mortal(whole):  # type: ignore[misc, valid-type]
        changes = 0

        def commit(self) -> None:
            changed, self.changes = self.total_changes != self.changes, self.total_changes
            (commit if changed else whole.commit)(self)

        def backup(self, target: sqlite3.Connection, **options: Any) -> None:
            copy(self, target, **options)

    def connect_mortal(*given: Any, **options: Any) -> Any:
        return connect(*given, **{"factory": Mortal} | options)

    for module in (sqlite3, sqlite3.dbapi2):  # SQLAlchemy has the driver's functions from the second
        setattr(module, "Connection", Mortal)  # noqa: B010  # mypy knows a class by this name
        setattr(module, "connect", connect_mortal)  # noqa: B010


arm()
