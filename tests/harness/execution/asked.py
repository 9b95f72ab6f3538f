"""Small jobs, and their work in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.events import Report
from harness.execution.conduct import Conductor
from harness.execution.executors.placement import Placement
from harness.execution.summary import Summary
from harness.planning.missing import Missing
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.store.store import Store

VALUES = ("epochs=1", "train.steps=1", "width=1", "evaluation.steps=1", "block_size=8", "checkpoints=last")
REQUEST = RunRequest(
    methods=("standard", "sat"),
    network="smallcnn",
    dataset="digits",
    device="cpu",
    seeds=1,
    train_seeds=2,
    limit=16,
    checks=False,
    values=(*VALUES, "evaluation.attacks=natural,pgd"),
)


def jobs(**changes: Any) -> list[RunJob]:
    return resolve_run(replace(REQUEST, **changes))


def conduct(missing: Missing, store: Store, folder: Path, listen: Report = lambda _event: None) -> Summary:
    return Conductor(missing, store, folder, listen, Placement()).conduct()
