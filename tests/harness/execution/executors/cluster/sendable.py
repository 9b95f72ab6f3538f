"""Items of work that can be sent to a worker, and a cluster's memory in this process."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.execution.executors.cluster.parcel import Parcel
from harness.execution.work import BlockWork, TrainWork
from harness.plugin.images import Images
from harness.plugin.threat import Threat
from harness.targets.model import RunWeights
from tests.harness.execution.asked import jobs


class Cluster:
    """A cluster's memory; it counts what is fetched."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.fetched: list[int] = []

    def put(self, value: Any) -> int:
        self.held.append(pickle.dumps(value))
        return len(self.held) - 1

    def fetch(self, reference: int) -> Any:
        self.fetched.append(reference)
        return pickle.loads(self.held[reference])


def training(folder: Path, **changes: Any) -> TrainWork:
    job = jobs()[0]
    work = TrainWork(
        spec=job.specs[0],
        run_id=1,
        place=job.place,
        dataset_fingerprint=job.dataset.fingerprint,
        folder=folder,
        device=job.device,
        threads=1,
        plugins=(),
    )
    return replace(work, **changes)


def block(folder: Path, file: Path) -> BlockWork:
    job = jobs()[0]
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return BlockWork(
        place=job.place,
        dataset_fingerprint=job.dataset.fingerprint,
        folder=folder,
        device=job.device,
        threads=1,
        plugins=(),
        weights=RunWeights(label="a", checkpoint="last", sha256=sha256, spec=job.specs[0], file=file),
        evaluation_id=1,
        attack="natural",
        attack_settings={},
        attack_code="",
        threat=Threat.from_mapping({"epsilon": 0.1, "steps": 1, "step_size": 0.1, "start": "uniform"}),
        seed=0,
        images=Images(4, "balanced"),
        start=0,
        length=4,
    )


def sent(parcel: Parcel) -> Parcel:
    """A parcel after its journey."""
    return pickle.loads(pickle.dumps(parcel))  # type: ignore[no-any-return]
