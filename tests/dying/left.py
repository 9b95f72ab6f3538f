"""What a command leaves: its runs to the last bit, its figures, and nothing that is unfinished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import select

from harness.store.checking import check_database
from harness.store.records import CheckpointRecord
from harness.store.schema import METADATA
from harness.store.store import Store
from harness.unfinished import is_unfinished

DATABASE = "leaderboard.db"
SERVER = "server.url"  # a file with the address of the database, where that is on a server


def located(folder: Path) -> str:
    """What ``--db`` was given to the commands of a folder."""
    server = folder / SERVER
    return server.read_text() if server.exists() else str(folder / DATABASE)


def on_server(folder: Path, url: str | None) -> dict[str, str]:
    """Have the commands of a folder use a database on a server, if there is one; the variables that they need."""
    if url is None:
        return {}
    (folder / SERVER).write_text(url)
    return {"HARNESS_DB": url}


def results(folder: Path) -> list[Any]:
    """Every run and model of the store: losses, records, weights, verdicts, margins, and findings, without times."""
    store = Store.read(located(folder))
    try:
        found: list[Any] = []
        for run in store.runs():
            epochs = [asdict(epoch) | {"duration_s": 0.0} for epoch in run.epochs]
            state = store.states([run])[run.id].state
            facts = (run.identity, run.attempt, run.status, state, run.folder, run.failure, epochs)
            records = [repr(store.histograms(run.id)), repr(store.curves(run.id))]
            found.append((*facts, records, [_checkpoint(store, one) for one in run.checkpoints]))
        found += [(model.identity, model.name, _checkpoint(store, model.checkpoint)) for model in store.models()]
        return found
    finally:
        store.close()


def _checkpoint(store: Store, checkpoint: CheckpointRecord) -> tuple[Any, ...]:
    evaluations = [
        (
            (one.attack, one.seed, one.examples, one.attempt, one.complete, one.blocks, one.warnings),
            (store.verdicts(one.id), store.margins(one.id), store.predicted(one.id)),
            [(image.place, image.pixels) for image in store.adversarial_images(one.id)],
        )
        for one in checkpoint.evaluations
    ]
    examined = [(repr(one.settings), repr(one.findings)) for one in checkpoint.examinations]
    return checkpoint.name, checkpoint.epoch, checkpoint.sha256, sorted(evaluations), sorted(examined)


def weights(folder: Path) -> dict[str, str]:
    """The hash of each file of weights."""
    files = sorted(folder.rglob("*.safetensors"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def unfinished(folder: Path) -> Iterator[Path]:
    """What somebody was making: temporary files, and journals of the database."""
    for path in folder.rglob("*"):
        if is_unfinished(path) or path.name.endswith(("-journal", "-wal", ".tmp")):
            yield path


def left(folder: Path, printed: str) -> tuple[list[Any], dict[str, str], Any]:
    """What a command left that ended well: it must be sound and finished.

    Args:
        printed: its standard output, JSON.
    """
    assert list(unfinished(folder)) == []
    checked = check_database(located(folder))
    assert checked.sound, checked.problems
    assert held(folder) == []
    return results(folder), weights(folder), json.loads(printed)


def held(folder: Path) -> list[str]:
    """The items that somebody holds who is alive."""
    store = Store.read(located(folder))
    with store._engine.connect() as connection:
        items = list(connection.exec_driver_sql("SELECT item FROM leases ORDER BY id").scalars())
    found = [one.item for one in store.held(items)]
    store.close()
    return found


def history(folder: Path, run_id: int = 1) -> list[str]:
    """The states of a run, oldest first."""
    store = Store.read(located(folder))
    found: list[str] = [one.state for one in store.history(run_id)]
    store.close()
    return found


def content(folder: Path) -> dict[str, Any]:
    """Every byte and time of the folder's finished files, and every row of the store but the leases.

    The database's own bytes change with each lease that is asked for, so its rows are taken in their place.
    """
    ours = {folder / DATABASE, *unfinished(folder)}
    files = [path for path in folder.rglob("*") if path.is_file() and path not in ours]
    found: dict[str, Any] = {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
    }
    store = Store.read(located(folder))
    with store._engine.connect() as connection:
        for table in METADATA.sorted_tables:
            if table.name != "leases":
                found[f"table {table.name}"] = connection.execute(select(table).order_by(*table.primary_key)).all()
    store.close()
    return found
