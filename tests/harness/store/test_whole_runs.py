"""The records of many runs, read table by table, against those that SQLAlchemy makes of one run: equal in all."""

from __future__ import annotations

import dataclasses
import functools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.events import EpochRecord
from harness.store import whole_runs
from harness.store.store import Store
from tests.harness.leaderboard.drawn import copied, drawn
from tests.stores import add_checkpoint, add_evaluation, make_spec, start
from tests.varied import varied_store

DAMAGES = (
    "correct = correct + 1",
    "verdicts = x'ff'",
    "examples = 0",
    "start = start + 1",
    "verdicts = x'0001'",
    "start = start - (start > 0)",
)


def trained(number: int) -> Store:
    """A store with attempts, unfinished runs, repeated evaluations, findings, epochs, notes, and tags."""
    return copied(_trained(number))


@functools.cache
def _trained(number: int) -> Store:
    store = drawn(number)
    unfinished = add_checkpoint(store, start(store, make_spec(method="mart")))  # nobody trains it
    for attempt in (2, 1):  # the newest attempt has the lowest number
        add_evaluation(store, unfinished, "pgd", {}, [1, 0, attempt % 2], attempt=attempt)
    store.end_run(start(store, make_spec(method="mart", train_seed=1)).id, "the loss is not finite")
    for run in store.runs():
        for epoch in range(run.id % 4):
            store.add_epoch(run.id, EpochRecord(epoch + 1, 0.3 / (epoch + 1), 0.1, 4, 0.7, {"steps": epoch / 3}))
        store.change_tags([run], ["odd"] if run.id % 2 else ["paper", "two"], [])
        store.annotate(run, "a remark" if run.id % 3 else None)
        store.add_provenance(run.id, {"host": f"machine-{run.id % 2}"})
    return store


def one_by_one(store: Store) -> list[Any]:
    return [store.run(number) for number in store.run_numbers()]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("at_once", [2, 250])
def test_they_are_those_of_one_run(number: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_runs, "RUNS_AT_ONCE", at_once)
    store = trained(number)
    assert repr(store.runs()) == repr(one_by_one(store))
    store.close()


def test_those_above_have_what_there_is_to_confuse() -> None:
    runs = [run for number in range(6) for run in trained(number).runs()]
    evaluations = [e for run in runs for c in run.checkpoints for e in c.evaluations]
    assert {run.status for run in runs} == {"running", "done", "failed"}
    assert {run.attempt for run in runs} == {1, 2}
    assert {len(run.checkpoints) for run in runs} == {0, 1, 2}
    assert {e.attempt for e in evaluations} == {1, 2}
    assert {e.complete for e in evaluations} == {True, False}
    assert max(len(e.blocks) for e in evaluations) > 1
    assert any(x.findings for run in runs for c in run.checkpoints for x in c.examinations)


def test_they_are_those_of_one_run_where_two_checkpoints_are_of_one_epoch(tmp_path: Path) -> None:
    store = varied_store(tmp_path / "varied.db")
    assert [run.failure for run in store.runs()].count("the loss is not finite") == 1
    assert repr(store.runs()) == repr(one_by_one(store))
    store.close()


def test_some_runs_are_those_among_all(tmp_path: Path) -> None:
    store = varied_store(tmp_path / "varied.db")
    assert store.runs_of([7, 2, 99]) == [run for run in store.runs() if run.id in (2, 7)]
    assert store.runs_of([]) == []
    assert store.trainings() == [dataclasses.replace(run, checkpoints=()) for run in store.runs()]
    store.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_counts_are_told_as_of_one_run(damage: str) -> None:
    store = trained(3)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql(f"UPDATE OR IGNORE blocks SET {damage}")
    found = store.runs()
    told = [e.damage for run in found for c in run.checkpoints for e in c.evaluations]
    assert any(told)
    assert repr(found) == repr(one_by_one(store))
    store.close()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("runs", "train_seed", 0.5),
        ("runs", "tags", "5"),
        ("runs", "dataset_id", 99),
        ("epochs", "loss", "much"),
        ("epochs", "diagnostics", "[1]"),
        ("checkpoints", "epoch", "two"),
        ("evaluations", "provenance", "5"),
        ("evaluations", "seed", 0.5),
        ("blocks", "warnings", "{}"),
        ("blocks", "verdicts", 10**12),
        ("examinations", "created_utc", "2026-13-45 99:99:99"),
        ("findings", "reason", b"x"),
        ("findings", "value", "large"),
    ],
)
def test_a_value_of_another_type_is_refused_as_of_one_run(table: str, column: str, value: Any) -> None:
    store = trained(3)
    connection = store._engine.raw_connection().driver_connection
    assert isinstance(connection, sqlite3.Connection)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("PRAGMA foreign_keys = OFF")
    first = f"SELECT min(rowid) FROM {table}"
    assert connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ({first})', (value,)).rowcount == 1
    connection.commit()
    told = []
    for read in (store.runs, lambda: one_by_one(store)):
        with pytest.raises(StoreError) as caught:
            read()
        told.append(str(caught.value))
    store.close()
    assert told[0] == told[1]
    assert "\n" not in told[0]
