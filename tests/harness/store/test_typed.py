"""A database from elsewhere holds any value in any column: it is read as its field's type, or one line says where."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Column, Table, select
from sqlalchemy.exc import IntegrityError

from harness.errors import StoreError
from harness.store.database import in_memory, locate, open_for_writing
from harness.store.schema import METADATA
from harness.store.store import Store
from harness.store.typed import Typed, UnfitValue, unfit_values

COLUMNS = [column for table in METADATA.sorted_tables for column in table.columns]
WRONG: dict[str, Any] = {
    "text": "8, 8)); import os; os.system('id'); print((1",
    "number": 5,
    "fraction": 0.5,
    "infinite": math.inf,
    "bytes": b"\xff\x00",
    "deep": "[" * 100_000,
    "digits": "[" + "9" * 5000 + "]",
    "object": '{"a": [1]}',
    "list": '[1, "a", null]',
    "json text": '"abc"',
    "json null": "null",
    "time": "2026-13-45 99:99:99",
}
PLAIN = (int, float, str, bytes, bool, datetime, type(None), dict, list)


def everything(store: Store) -> Iterator[Any]:
    """All that the store's queries return."""
    runs, models = store.runs(), store.models()
    yield from (runs, models, store.protocols(), store.reported(), store.newest_runs(), store.removed_attempts())
    checkpoints = [c for run in runs for c in run.checkpoints] + [model.checkpoint for model in models]
    for run in runs:
        yield from (store.run(run.id), store.histograms(run.id), store.curves(run.id))
    for checkpoint in checkpoints:
        for e in checkpoint.evaluations:
            yield from (store.blocks(e.id), store.verdicts(e.id), store.margins(e.id), store.predicted(e.id))
            yield from (store.adversarial_images(e.id), store.evaluated(e.id), store.previous_attempt(e.id))
            yield store.judgements({e.id: e.examples}).correct.tolist()


def refuse_other_types(value: Any) -> None:
    """Fail for a field whose value has another type than its annotation says, at any depth of a record."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            held, said = getattr(value, field.name), str(field.type)
            if said in ("int", "float", "str", "bytes"):
                assert type(held).__name__ == said or (said == "float" and type(held) is int), (field, held)
            refuse_other_types(held)
    elif isinstance(value, (tuple, list)):
        for one in value:
            refuse_other_types(one)
    else:
        assert isinstance(value, PLAIN)


@contextlib.contextmanager
def changed(file: Path, column: Column[Any], value: Any) -> Iterator[bool]:
    """The file with one value in a column of every row, and whether SQLite took it; the file of before at the end."""
    before = file.read_bytes()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        try:
            with connection:
                connection.execute(f'UPDATE {column.table.name} SET "{column.name}" = ?', (value,))
            taken = True
        except sqlite3.IntegrityError:  # SQLite's own numbers of rows are numbers
            taken = False
    yield taken
    file.write_bytes(before)


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_each_value_that_does_not_fit_its_column_is_named_with_its_row(every: int, full: Path) -> None:
    refused, columns = 0, COLUMNS[::every]
    engine = open_for_writing(locate(str(full)))
    for column in columns:
        assert isinstance(column.type, Typed)
        for wrong in WRONG.values():
            with engine.connect() as connection, connection.begin() as transaction:
                connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
                with contextlib.suppress(IntegrityError):
                    connection.exec_driver_sql(f'UPDATE {column.table.name} SET "{column.name}" = ?', (wrong,))
                named = [str(error) for error in unfit_values(connection, column)]
                held = connection.exec_driver_sql(f'SELECT "{column.name}" FROM {column.table.name}').scalars().all()
                try:
                    connection.execute(select(column)).scalars().all()
                    assert not named, (column, wrong)
                except UnfitValue:
                    refused += 1
                    assert len(named) == len(held), (column, wrong)
                    place = f"the column {column.name} of the table {column.table.name}, row "
                    assert all(place in text and "\n" not in text for text in named)
                transaction.rollback()
    engine.dispose()
    assert refused > 5 * len(columns)


def test_no_row_that_fits_is_named(full: Path) -> None:
    with contextlib.closing(sqlite3.connect(full)) as file, file:
        columns = "run_id, state, at_utc, host, process, user_name, reason"
        file.execute(f"INSERT INTO run_states ({columns}) SELECT {columns} FROM run_states")
        (last,) = file.execute("SELECT max(id) FROM run_states").fetchone()
        file.execute("UPDATE run_states SET at_utc = 'later' WHERE id = ?", (last,))
    engine = open_for_writing(locate(str(full)))
    with engine.connect() as read:
        named = [str(error) for column in COLUMNS for error in unfit_values(read, column)]
    engine.dispose()
    assert len(named) == 1
    assert f"the column at_utc of the table run_states, row id {last}, holds 'later'" in named[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("datasets.height", WRONG["text"]),
        ("runs.train_seed", 0.5),
        ("runs.tags", '[["a"]]'),
        ("epochs.loss", math.inf),
        ("runs.created_utc", WRONG["time"]),
        ("runs.method_settings", WRONG["deep"]),
        ("blocks.correct", b"8"),
        ("blocks.verdicts", 10**12),
        ("runs.dataset_id", 77),
        ("checkpoints.model_id", None),
    ],
)
def test_a_store_with_such_a_value_is_refused_in_one_line(name: str, value: Any, full: Path) -> None:
    table, _, column = name.partition(".")
    with changed(full, METADATA.tables[table].columns[column], value) as taken:
        assert taken
        store = Store.read(str(full))
        with pytest.raises(StoreError) as caught:
            list(everything(store))
        store.close()
    assert "\n" not in str(caught.value)
    assert table.removesuffix("s") in str(caught.value)


def outcome(store: Store) -> str:
    """The refusal of the first query that refuses; empty where all give what they say."""
    try:
        for value in everything(store):
            refuse_other_types(value)
    except StoreError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=str)
def test_every_query_gives_the_types_that_it_says_or_one_line(table: Table, full: Path) -> None:
    engine = in_memory()
    store = Store(engine)
    for column, (name, wrong) in itertools.product(table.columns, WRONG.items()):
        with engine.connect() as connection, contextlib.closing(sqlite3.connect(full)) as source:
            source.backup(cast("sqlite3.Connection", connection.connection.dbapi_connection))
        with engine.begin() as connection, contextlib.suppress(IntegrityError):
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            connection.exec_driver_sql(f'UPDATE {table.name} SET "{column.name}" = ?', (wrong,))
        assert "\n" not in outcome(store), (column, name)
    store.close()


def test_a_value_is_missing_where_a_table_from_elsewhere_lets_it(full: Path) -> None:
    with contextlib.closing(sqlite3.connect(full)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'method VARCHAR NOT NULL', 'method VARCHAR')"
            " WHERE name = 'runs'"
        )
    with contextlib.closing(sqlite3.connect(full)) as connection, connection:
        connection.execute("UPDATE runs SET method = NULL")
    store = Store.read(str(full))
    with pytest.raises(StoreError, match="column method of the table runs, row id 1, holds nothing"):
        store.runs()
    store.close()
