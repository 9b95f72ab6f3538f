"""Runs that appear in a database while a site shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.runtime.worker import this_worker
from harness.store.store import Store
from tests.stores import add_checkpoint, add_evaluation, make_spec, right, see_protocol, start

TRAINING = {"epochs": 2, "epsilon": 0.2}
ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"block_size": 4}}


def train(file: Path, method: str, robust: int | None = None) -> None:
    """Keep a run; with a number of robust images, one that is done and attacked, else one in training."""
    store = Store.write(str(file))
    see_protocol(store, ATTACKS, TRAINING)
    run = start(store, make_spec(method=method, training=TRAINING))
    if robust is not None:
        checkpoint = add_checkpoint(store, run)
        add_evaluation(store, checkpoint, "natural", {}, right(300, 360))
        add_evaluation(store, checkpoint, "pgd", ATTACKS["pgd"], right(robust, 360))
        store.end_run(run.id)
    else:
        store.take(f"training of run {run.id}", this_worker(), 600, run.id)
    store.close()
