"""The time by the database's own clock: processes on several machines agree on no other one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double, FunctionElement
from sqlalchemy.ext.compiler import compiles


class database_seconds(FunctionElement[float]):  # noqa: N801  # used like a function of SQL
    """Seconds since 1970, as an expression of SQL."""

    inherit_cache = True
    type = Double()


@compiles(database_seconds)
def _in_sql(_element: Any, _compiler: Any, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(database_seconds, "sqlite")
def _in_sqlite(_element: Any, _compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
