"""Three processes write to one database at once, through the store, and none of the writes is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.events import EpochRecord
from harness.store.store import Store
from tests.dying.started import ROOT, environment
from tests.stores import make_spec, start

WRITERS, WRITES = 3, 800


def write(file: str, seed: int, writes: int) -> None:
    """Write epochs to a run of one's own."""
    store = Store.write(file)
    run = start(store, make_spec(train_seed=seed))
    for epoch in range(1, writes + 1):
        store.add_epoch(run.id, EpochRecord(epoch, float(seed), 0.1, 8, 1.0))
    store.close()


def contend(folder: Path, writes: int = WRITES) -> int:
    """How many of the writes are there in the end."""
    file = str(folder / "contended.db")
    Store.write(file).close()
    command = [sys.executable, "-m", "tests.soak.contended", file]
    writers = [
        subprocess.Popen([*command, str(seed), str(writes)], cwd=ROOT, env=environment()) for seed in range(WRITERS)
    ]
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    store = Store.read(file)
    kept = sum(
        epoch.loss == run.train_seed and epoch.epoch == number
        for run in store.runs()
        for number, epoch in enumerate(run.epochs, 1)
    )
    store.close()
    return kept


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
