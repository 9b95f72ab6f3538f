"""Whether a database on a server has the schema of this version, and no row refers to one that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import CheckConstraint, Connection, Table, UniqueConstraint, exists, func, inspect, select, text
from sqlalchemy.engine.reflection import Inspector

from harness.errors import listed, visible
from harness.store import database
from harness.store.checked_rows import OLDER_COPY, Problem
from harness.store.schema import METADATA

_TRIGGERS = text(
    "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " WHERE NOT tgisinternal AND pg_table_is_visible(tgrelid) ORDER BY tgname"
)
_RULES = text(
    "SELECT rulename, relname FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class"
    " WHERE relkind IN ('r', 'p') AND pg_table_is_visible(ev_class) ORDER BY rulename"
)
_UNCHECKED = text(
    "SELECT conname, relname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
    " WHERE NOT convalidated AND pg_table_is_visible(conrelid) ORDER BY conname"
)


def server_problems(connection: Connection) -> Iterator[Problem]:
    """What is wrong with the tables as such. With such a problem, rows need not mean what they say."""
    found = inspect(connection)
    tables = set(found.get_table_names())
    for table in METADATA.sorted_tables:
        if table.name not in tables:
            yield Problem(f"table {table.name}", "it is missing")
            continue
        there = _found(found, table.name, connection)
        differing = [part for part, wanted in _wanted(table, connection).items() if there[part] != wanted]
        if differing:
            told = f"its {listed(differing)} are not those of schema {database.REVISION}"
            yield Problem(f"table {table.name}", told)
        else:
            yield from _orphans(connection, table)
    made = set(found.get_view_names())
    for view, columns in _views().items():
        if view not in made or _columns(found, view) != columns:
            yield Problem(f"view {view}", f"it is not that of schema {database.REVISION}")
    for statement, what in ((_TRIGGERS, "trigger"), (_RULES, "rule")):
        for name, table_name in connection.execute(statement):
            if table_name in METADATA.tables:
                remedy = (
                    f"if you trust the database: DROP {what.upper()} {visible(name)} ON {table_name}; else {OLDER_COPY}"
                )
                yield Problem(f"{what} {visible(name)}", f"it changes rows unseen; harness makes no {what}s", remedy)
    for name, table_name in connection.execute(_UNCHECKED):
        if table_name in METADATA.tables:
            remedy = f"ALTER TABLE {table_name} VALIDATE CONSTRAINT {visible(name)}"
            yield Problem(f"table {table_name}", f"its rows need not keep to {visible(name)}", remedy)


def _columns(found: Inspector, view: str) -> list[str]:
    return [column["name"] for column in found.get_columns(view)]


def _wanted(table: Table, connection: Connection) -> dict[str, Any]:
    """What the schema says of a table. A constraint's text is worded anew by the server, so names stand for checks."""
    dialect = connection.dialect
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    return {
        "columns": [(c.name, c.type.compile(dialect), bool(c.nullable)) for c in table.columns],
        "primary key": [c.name for c in table.primary_key],
        "unique constraints": sorted([c.name for c in one.columns] for one in unique),
        "checks": sorted(str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)),
        "foreign keys": sorted(
            (one.column_keys, one.referred_table.name, [e.column.name for e in one.elements], one.ondelete or "")
            for one in table.foreign_key_constraints
        ),
        "indexes": sorted([c.name for c in index.columns] for index in table.indexes),
    }


@cache
def _views() -> dict[str, Any]:
    """View -> its columns, as the migrations make them."""
    with database.migrated_in_memory().connect() as reference:
        told = inspect(reference)
        return {view: _columns(told, view) for view in told.get_view_names()}


def _found(found: Inspector, table: str, connection: Connection) -> dict[str, Any]:
    """The same of a table that is there."""
    dialect = connection.dialect
    return {
        "columns": [(c["name"], c["type"].compile(dialect), c["nullable"]) for c in found.get_columns(table)],
        "primary key": found.get_pk_constraint(table)["constrained_columns"],
        "unique constraints": sorted(one["column_names"] for one in found.get_unique_constraints(table)),
        "checks": sorted(str(one["name"]) for one in found.get_check_constraints(table)),
        "foreign keys": sorted(
            (
                one["constrained_columns"],
                one["referred_table"],
                one["referred_columns"],
                one["options"].get("ondelete", ""),
            )
            for one in found.get_foreign_keys(table)
        ),
        "indexes": sorted(
            [str(name) for name in one["column_names"]]
            for one in found.get_indexes(table)
            if not one.get("duplicates_constraint")
        ),
    }


def _orphans(connection: Connection, table: Table) -> Iterator[Problem]:
    """Rows that refer to nothing. The server lets none in, but a superuser may switch that off."""
    for reference in table.foreign_key_constraints:
        parent = reference.referred_table.alias("parent")
        pairs = [(element.parent, parent.c[element.column.name]) for element in reference.elements]
        alike = exists().where(*(mine == its for mine, its in pairs))
        count = select(func.count()).select_from(table).where(*(mine.is_not(None) for mine, _ in pairs), ~alike)
        if number := connection.scalar(count):
            told = f"{number} rows refer to rows of {reference.referred_table.name} that are not there"
            yield Problem(f"table {table.name}", told)
