"""Several commands share 800 small items through leases; one is killed, one stands still past its lease.

An item is a block of an evaluation: a driver takes its lease, computes its verdicts, and has the store keep them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from harness.events import BlockDone
from harness.execution.claimed import Claimed
from harness.execution.claims import Claims
from harness.store import database
from harness.store.schema import METADATA
from harness.store.store import Store
from tests.dying.started import ROOT, environment, until
from tests.stores import add_checkpoint, make_spec, start

DRIVERS, ITEMS, IMAGES = 8, 100, 4  # so many items for each driver
KILLED, FROZEN = 0, 1  # numbers of drivers
_FREEZES_AT = 5  # its own item of that number
_LEASE_S = 10  # as long as a driver may wait for its turn to write
_ROUNDS = 3_000  # of hashing: some milliseconds


@dataclass(frozen=True)
class Item:
    """A block of an evaluation, as the claims see it."""

    evaluation: int
    start: int

    @property
    def key(self) -> str:
        """The name of its lease."""
        return f"block {self.start} of {self.evaluation}"

    @property
    def near(self) -> str:
        """None is like another."""
        return self.key

    def verdicts(self) -> bytes:
        """The result: of the item alone, by some milliseconds of work."""
        digest = self.key.encode()
        for _ in range(_ROUNDS):
            digest = hashlib.sha256(digest).digest()
        return bytes(byte % 2 for byte in digest[:IMAGES])


def drive(location: str, number: int, log: Path) -> None:
    """Do what is left of the items; the number of the driver is kept as the duration of its blocks."""
    store, begun = Store.write(location), 0
    with Claims(store, lambda _event: None) as claims:
        items = Claimed[Any](claims, lambda item: item.start not in _starts(store, item.evaluation))
        items.add(_items(store))
        while not items.over:
            item = items.take()
            if item is None:
                time.sleep(0.05)
                continue
            begun += 1
            with log.open("a") as lines:
                lines.write(f"{item.key}\n")
            verdicts = item.verdicts()
            if number == FROZEN and begun == _FREEZES_AT:
                _stand_still(store, log)
            block = BlockDone(item.evaluation, item.start, verdicts, float(number), ())
            claims.keep(item.key, lambda lease, block=block: store.add_block(block, lease))  # type: ignore[misc]
            items.ended(item, None)
    store.close()


def _stand_still(store: Store, log: Path) -> None:
    """Stop this process while no thread of it is in a transaction: that would hold up a file for ever."""
    until(lambda: store._engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    log.with_suffix(".frozen").touch()
    os.kill(os.getpid(), signal.SIGSTOP)


def _items(store: Store) -> list[Any]:
    (run,) = store.runs()
    evaluations = [one.id for checkpoint in run.checkpoints for one in checkpoint.evaluations]
    return [Item(number, start) for number in evaluations for start in range(0, ITEMS * IMAGES, IMAGES)]


def _starts(store: Store, evaluation: int) -> set[int]:
    return {start for start, _ in store.blocks(evaluation)}


def prepare(location: str) -> None:
    """A run with one evaluation for each driver."""
    store = Store.write(location)
    checkpoint = add_checkpoint(store, start(store, make_spec()))
    for seed in range(DRIVERS):
        store.open_evaluation(checkpoint.id, "pgd", {"steps": 1}, seed, ITEMS * IMAGES)
    store.close()


def fork_drivers(location: str, folder: Path) -> None:
    """Begin all drivers at once, and note how each has ended: to import harness takes seconds, so it is done before."""
    pids = {}
    for number in range(DRIVERS):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                drive(location, number, folder / f"{number}.log")
                code = 0
            finally:
                traceback.print_exc() if code else None
                os._exit(code)
        pids[pid] = number
    _put(folder / "pids", " ".join(map(str, pids)))
    for _ in range(DRIVERS):
        pid, status = os.wait()
        _put(folder / f"{pids[pid]}.ended", str(os.waitstatus_to_exitcode(status)))


def _put(file: Path, content: str) -> None:
    file.with_suffix(".part").write_text(content)
    file.with_suffix(".part").rename(file)


@contextlib.contextmanager
def started(location: str, folder: Path) -> Iterator[list[int]]:
    """The numbers of the processes of the drivers at work; none is left at the end."""
    place = environment({"HARNESS_LEASE_S": str(_LEASE_S), "HARNESS_DB": location})
    command = [sys.executable, "-m", "tests.soak.drivers", str(folder)]
    leader = subprocess.Popen(command, cwd=ROOT, env=place, start_new_session=True)
    try:
        until((folder / "pids").exists)
        yield [int(pid) for pid in (folder / "pids").read_text().split()]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()


def _ends(folder: Path, number: int) -> int:
    """The exit code of a driver, or the signal's number below zero, once it has ended."""
    file = folder / f"{number}.ended"
    until(file.exists)
    return int(file.read_text())


def share(location: str, folder: Path, draws: random.Random) -> dict[str, float]:
    """Have the drivers share the items, and check what they leave.

    Returns:
        How many items there were, were computed in vain, were written by the frozen driver, and the seconds.
    """
    prepare(location)
    with started(location, folder) as drivers:
        until((folder / f"{KILLED}.log").exists)
        began = time.monotonic()
        time.sleep(draws.uniform(0.05, 1.0))
        os.kill(drivers[KILLED], signal.SIGKILL)
        others = [number for number in range(DRIVERS) if number not in (KILLED, FROZEN)]
        assert [_ends(folder, number) for number in others] == [0] * len(others)
        took_s = time.monotonic() - began
        assert (folder / f"{FROZEN}.frozen").exists()
        assert _ends(folder, KILLED) == -signal.SIGKILL
        before = _content(location)
        os.kill(drivers[FROZEN], signal.SIGCONT)
        assert _ends(folder, FROZEN) == 0
        assert _content(location) == before  # it wrote nothing when it woke
    return _checked(location, folder) | {"seconds": took_s}


def _content(location: str) -> dict[str, list[Any]]:
    """Every row but the leases."""
    engine = database.open_for_reading(database.locate(location))
    with engine.connect() as connection:
        tables = [table for table in METADATA.sorted_tables if table.name not in ("leases", "reported")]
        found = {table.name: list(connection.execute(select(table).order_by(*table.primary_key))) for table in tables}
    engine.dispose()
    return found


def _checked(location: str, folder: Path) -> dict[str, float]:
    """Each block is there once, with the verdicts of its item; only who was killed or frozen computed one in vain."""
    computed = {
        number: Counter((folder / f"{number}.log").read_text().splitlines())
        for number in range(DRIVERS)
        if (folder / f"{number}.log").exists()
    }
    blocks = _content(location)["blocks"]
    store = Store.read(location)
    items = {item.key: item for item in _items(store)}
    for number in {item.evaluation for item in items.values()}:
        wanted = [item.verdicts() for item in items.values() if item.evaluation == number]
        assert store.verdicts(number) == b"".join(wanted)
    store.close()
    assert len(blocks) == len(items) == DRIVERS * ITEMS
    writers = {Item(block.evaluation_id, block.start).key: int(block.duration_s) for block in blocks}
    for key, writer in writers.items():
        assert computed[writer][key] == 1, key
    in_vain = [(number, key) for number, done in computed.items() for key in done if writers[key] != number]
    assert {number for number, _ in in_vain} <= {KILLED, FROZEN}
    assert Counter(number for number, _ in in_vain)[FROZEN] == 1
    assert len(in_vain) <= 2
    assert len(set(writers.values())) > DRIVERS / 2  # they did share
    return {
        "items": len(items),
        "in vain": len(in_vain),
        "by the frozen one": sum(w == FROZEN for w in writers.values()),
    }


if __name__ == "__main__":
    fork_drivers(os.environ["HARNESS_DB"], Path(sys.argv[1]))
