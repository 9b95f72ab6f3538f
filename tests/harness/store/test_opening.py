"""Runs and evaluations opened together: the same rows as one by one, in one transaction, shared by commands."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from harness.errors import StoreError
from harness.identity import digest
from harness.runtime.worker import this_worker
from harness.store.opening import WantedEvaluation, WantedRun
from harness.store.schema import METADATA
from harness.store.store import Store
from tests.harness.store.entries import make_spec, recorded_block, start, start_evaluation
from tests.stores import DIGITS

FACTS: dict[str, Any] = {"method_departures": {"strength": 1.5}, "network_departures": {}, "parameters": 9}


def wanted_runs(seeds: Sequence[int], **changes: Any) -> list[WantedRun]:
    facts: dict[str, Any] = FACTS | {"dataset": DIGITS, "provenance": {"sources": {}}} | changes
    return [WantedRun(spec=make_spec(train_seed=seed), **facts) for seed in seeds]


def wanted_evaluations(checkpoint: int, seeds: Sequence[int], **changes: Any) -> list[WantedEvaluation]:
    facts: dict[str, Any] = {"attack": "pgd", "settings": {"steps": 20}, "examples": 10} | changes
    return [WantedEvaluation(checkpoint_id=checkpoint, seed=seed, **facts) for seed in seeds]


@contextlib.contextmanager
def commits(store: Store) -> Iterator[list[None]]:
    """Has one entry for each transaction that was committed meanwhile."""
    found: list[None] = []

    def note(_connection: object) -> None:
        found.append(None)

    event.listen(store._engine, "commit", note)
    yield found
    event.remove(store._engine, "commit", note)


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    """The rows of a table, in the order of their numbers."""
    every = select(METADATA.tables[table]).order_by("id")
    with store._reading() as session:
        return [dict(row) for row in session.execute(every).mappings()]


def untimed(store: Store, table: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "created_utc"} for row in rows(store, table)]


@pytest.fixture
def one_by_one() -> Iterator[Store]:
    """A store in memory, in which rows are opened one after the other."""
    store = Store.in_memory()
    yield store
    store.close()


def test_runs_opened_together_have_the_rows_of_runs_opened_one_by_one(store: Store, one_by_one: Store) -> None:
    wanted = wanted_runs(range(4)) + wanted_runs([2], attempt=2)
    together = store.start_runs(wanted)
    singly = [one_by_one.start_runs([one])[0] for one in wanted]
    assert [run.id for run in together] == [1, 2, 3, 4, 5]
    for one, other in zip(together, singly, strict=True):
        assert dataclasses.replace(one, created_utc=other.created_utc) == other
    for table in ("runs", "datasets"):
        assert untimed(store, table) == untimed(one_by_one, table)
    spec, second = wanted[2].spec, together[4]
    assert (second.identity, second.attempt, second.status) == (spec.identity, 2, "running")
    assert second.folder == f"{spec.label}-{spec.identity[:8]}-2"
    assert second.training_sha256 == digest(spec.training)
    assert second.spec == spec


def test_all_is_opened_in_one_transaction(store: Store) -> None:
    with commits(store) as found:
        runs = store.start_runs(wanted_runs(range(10)))
    assert len(found) == 1
    with commits(store) as found:
        store.queue([run.id for run in runs], this_worker())
    assert len(found) == 1
    checkpoint = checkpoint_of_a_run(store)
    with commits(store) as found:
        store.open_evaluations(wanted_evaluations(checkpoint, range(10)))
    assert len(found) == 1


def checkpoint_of_a_run(store: Store) -> int:
    """The number of a checkpoint."""
    run = start(store)
    store.add_checkpoint(run.id, "last", 2, "c" * 64)
    (checkpoint,) = store.run(run.id).checkpoints
    return checkpoint.id


def test_runs_that_are_there_are_returned_as_they_are_in_the_order_that_is_asked(store: Store) -> None:
    (known,) = store.start_runs(wanted_runs([1]))
    store.add_checkpoint(known.id, "last", 2, "c" * 64)
    store.end_run(known.id)
    found = store.start_runs(wanted_runs([0, 1, 0, 2], parameters=77))
    assert [run.train_seed for run in found] == [0, 1, 0, 2]
    assert found[0] == found[2]
    assert found[1] == store.run(known.id)
    assert (found[1].status, found[1].parameters, len(found[1].checkpoints)) == ("done", 9, 1)
    assert len(rows(store, "runs")) == 3


def test_two_commands_that_open_the_same_at_the_same_time_share_it(store: Store, place: str) -> None:
    checkpoint = checkpoint_of_a_run(store)
    other = Store.write(place)
    runs, evaluations = wanted_runs(range(100, 130)), wanted_evaluations(checkpoint, range(30))
    with ThreadPoolExecutor(2) as pool:
        mine = pool.submit(store.start_runs, runs)
        theirs = pool.submit(other.start_runs, runs[::-1])
        assert mine.result() == theirs.result()[::-1]
        own = pool.submit(store.open_evaluations, evaluations)
        of_other = pool.submit(other.open_evaluations, evaluations[::-1])
        assert own.result() == of_other.result()[::-1]
    other.close()
    assert len(rows(store, "runs")) == 1 + 30
    assert len(rows(store, "evaluations")) == 30


def test_evaluations_opened_together_have_the_rows_of_evaluations_opened_one_by_one(
    store: Store, one_by_one: Store
) -> None:
    for each in (store, one_by_one):
        assert checkpoint_of_a_run(each) == 1
    wanted = [
        *wanted_evaluations(1, range(3)),
        *wanted_evaluations(1, [1], settings={"steps": 40}),
        *wanted_evaluations(1, [1], attempt=2),
        *wanted_evaluations(1, [1], sample="balanced"),
    ]
    assert store.open_evaluations(wanted) == [1, 2, 3, 4, 5, 6]
    assert [one_by_one.open_evaluations([one])[0] for one in wanted] == [1, 2, 3, 4, 5, 6]
    assert untimed(store, "evaluations") == untimed(one_by_one, "evaluations")
    assert store.open_evaluations([wanted[4], wanted[0], wanted[4]]) == [5, 1, 5]
    assert len(rows(store, "evaluations")) == 6


def test_a_failure_adds_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError):
        store.start_runs([*wanted_runs(range(3)), *wanted_runs([3], attempt=0)])  # attempts count from 1
    assert rows(store, "runs") == rows(store, "datasets") == []
    checkpoint = checkpoint_of_a_run(store)
    with pytest.raises(StoreError, match="was removed from the database while this command worked on it"):
        store.open_evaluations([*wanted_evaluations(checkpoint, range(3)), *wanted_evaluations(checkpoint + 1, [0])])
    assert rows(store, "evaluations") == []


def test_nothing_wanted_needs_no_transaction(store: Store) -> None:
    with commits(store) as found:
        assert store.start_runs([]) == []
        assert store.open_evaluations([]) == []
    assert found == []


def test_the_runs_of_many_numbers_are_those_of_each_number(store: Store) -> None:
    numbers = [run.id for run in store.start_runs(wanted_runs(range(3)))]
    assert store.runs_numbered(numbers) == {number: store.run(number) for number in numbers}
    with pytest.raises(StoreError, match="there is no run 7; `harness runs` lists all runs"):
        store.runs_numbered([1, 7])


def test_the_blocks_of_many_evaluations_are_those_of_each_evaluation(store: Store) -> None:
    evaluation = start_evaluation(store, start(store))
    empty = store.open_evaluations(wanted_evaluations(1, [8]))[0]
    for first, length in ((5, 5), (0, 5)):
        store.add_block(recorded_block(evaluation, first, range(length)))
    assert store.blocks_of([empty, evaluation]) == {empty: [], evaluation: [(0, 5), (5, 5)]}
    assert store.blocks(evaluation) == [(0, 5), (5, 5)]
