"""Leases: one holder at a time, fencing numbers that grow, and no write without a lease that is held."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from harness.errors import LeaseLost
from harness.events import BlockDone, EpochRecord
from harness.runtime.worker import Worker, is_dead
from harness.store.leases import Held, Lease, LeaseGuard
from harness.store.schema import METADATA
from harness.store.store import Store
from tests.harness.store import entries
from tests.harness.store.holders import FAR, HERE, dead, let_it_pass, taken

EPOCH = EpochRecord(1, 0.5, 0.1, 8, 1.0)


def test_an_item_has_one_holder_until_it_is_given_back(store: Store) -> None:
    first = taken(store, worker=FAR)
    held = store.take("a", HERE, 60)
    assert isinstance(held, Held)
    assert (held.worker, held.item) == (FAR, "a")
    assert [one.item for one in store.held(["a", "b"])] == ["a"]
    store.give_back([first], FAR, "lost", None)
    assert store.held(["a", "b"]) == []
    second = taken(store)
    assert second.number > first.number


def test_of_many_who_ask_at_once_one_gets_the_item(store: Store, place: str) -> None:
    def ask(number: int) -> Lease | Held | None:
        own = Store.write(place)
        try:
            return own.take("a", replace(FAR, process=str(number)), 60)
        finally:
            own.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert sum(isinstance(answer, Lease) for answer in answers) == 1
    assert len({answer.worker for answer in answers if isinstance(answer, Held)}) == 1


def test_a_lease_whose_time_is_over_is_taken_over_and_its_number_is_never_given_again(store: Store) -> None:
    first = taken(store, worker=FAR)
    let_it_pass(store, first)
    assert store.held(["a"]) == []
    second = taken(store)
    assert second.number > first.number
    store.give_back([first], FAR, "lost", None)  # of a lease that is gone nothing is given back
    assert isinstance(store.take("a", FAR, 60), Held)
    store.give_back([second], HERE, "lost", None)
    assert taken(store).number > second.number


def test_what_killed_commands_held_does_not_pile_up(store: Store) -> None:
    """A command holds an item of its own, which nobody asks for again; a training's lease says who lost the run."""
    run = entries.start(store)
    training = taken(store, "training", FAR, run_id=run.id)
    for number in range(3):
        let_it_pass(store, taken(store, f"command {number}", FAR))
    let_it_pass(store, training)
    taken(store, "live", FAR)
    with store._engine.connect() as connection:
        rows = connection.execute(text("SELECT item FROM leases ORDER BY id")).scalars().all()
    assert rows == ["training", "live"]


def test_a_process_that_has_ended_holds_nothing(store: Store) -> None:
    gone = dead()
    assert is_dead(gone)
    assert not is_dead(HERE)
    first = taken(store, worker=gone, seconds=1e6)
    assert store.held(["a"]) == []
    assert taken(store).number > first.number


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.replace(" since ", " since 9"),  # the number was given again, to a process that began later
        lambda p: p.replace(str(os.getpid()), "999999999", 1),
    ],
)
def test_a_process_is_known_by_its_number_and_its_start(change: Callable[[str], str]) -> None:
    assert is_dead(Worker("any", change(HERE.process)))


@pytest.mark.parametrize("process", ["17", "", "this one and x", "1 since 2 in another-boot 3", "x since 1 in y"])
def test_of_a_process_on_another_machine_nothing_is_certain(process: str) -> None:
    process = f"{HERE.process}x" if process == "this one and x" else process
    assert not is_dead(Worker(HERE.host, process))


def test_a_renewed_lease_lasts_and_one_whose_time_is_over_is_not_renewed(store: Store) -> None:
    kept, over = taken(store, "kept", FAR, 1000), taken(store, "over", FAR, 1000)
    let_it_pass(store, over)
    store.renew([kept, over], 2_000_000)
    let_it_pass(store, kept)  # a million seconds of two
    assert [held.item for held in store.held(["kept", "over"])] == ["kept"]


# ---- every write names its lease


def block(evaluation_id: int) -> BlockDone:
    return BlockDone(evaluation_id, 0, bytes(10), 1.0, ())


def writes(store: Store) -> dict[str, Callable[[Lease], None]]:
    """Every write of a result, by its name, on one run."""
    run = entries.start(store)
    evaluation = entries.start_evaluation(store, run)
    checkpoint = store.run(run.id).checkpoints[0].id
    return {
        "provenance": lambda lease: store.add_provenance(run.id, {"device": "another"}, lease),
        "epoch": lambda lease: store.add_epoch(run.id, EPOCH, lease),
        "checkpoint": lambda lease: store.add_checkpoint(run.id, "early", 1, "e" * 64, lease),
        "block": lambda lease: store.add_block(block(evaluation), lease),
        "examination": lambda lease: store.add_examination(checkpoint, {}, entries.FINDINGS, 1.0, {}, lease),
        "end": lambda lease: store.end_run(run.id, lease=lease),
    }


def content(store: Store) -> list[object]:
    """All rows but the leases."""
    with store._engine.connect() as connection:
        tables = [table for name, table in sorted(METADATA.tables.items()) if name != "leases"]
        return [connection.execute(select(table).order_by(*table.primary_key)).all() for table in tables]


@pytest.mark.parametrize("how", ["time is over", "taken over", "given back"])
@pytest.mark.parametrize("name", ["provenance", "epoch", "checkpoint", "block", "examination", "end"])
def test_a_write_without_its_lease_writes_nothing(store: Store, name: str, how: str) -> None:
    write = writes(store)[name]
    lease = taken(store)
    if how == "given back":
        store.give_back([lease], HERE, "lost", None)
    else:
        let_it_pass(store, lease)
    if how == "taken over":
        taken(store, worker=FAR)
    before = content(store)
    with pytest.raises(LeaseLost, match=r"^the a is not this process's any more: .* the same command goes on$"):
        write(lease)
    assert content(store) == before


@pytest.mark.parametrize("name", ["block", "examination", "end"])
def test_the_write_of_a_result_ends_its_lease_in_the_same_transaction(store: Store, name: str) -> None:
    write = writes(store)[name]
    before, lease = content(store), taken(store)
    write(lease)
    assert content(store) != before
    assert store.held(["a"]) == []


@pytest.mark.parametrize("name", ["provenance", "epoch", "checkpoint"])
def test_a_write_within_a_training_keeps_its_lease(store: Store, name: str) -> None:
    lease = taken(store)
    writes(store)[name](lease)
    assert [held.item for held in store.held(["a"])] == ["a"]


def test_a_worker_without_a_store_asks_for_the_lease(store: Store) -> None:
    lease, place = taken(store), store.place
    assert place is not None
    LeaseGuard(place, lease)()
    let_it_pass(store, lease)
    with pytest.raises(LeaseLost):
        LeaseGuard(place, lease)()
    assert place not in repr(LeaseGuard(place, lease))  # it may have a password
    memory = Store.in_memory()
    assert memory.place is None
    memory.close()
