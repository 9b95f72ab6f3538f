"""What a conductor does with a plan, without its networks: it enters runs, epochs, and blocks of verdicts."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.events import BlockDone, EpochRecord
from harness.planning.gaps import AttackGap
from harness.planning.missing import Missing, RunGap, find_missing
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.protocols.run_spec import RunSpec
from harness.runtime.provenance import host
from harness.store.records import RunRecord
from harness.store.store import Store

IMAGES = 1437  # of the digits, to train on


VALUES = (
    "epochs=4",
    "train.steps=10",
    "evaluation.steps=20",
    "block_size=100",
    "checkpoints=last",
    "evaluation.attacks=natural,pgd,cw",
)
HERE: dict[str, Any] = {"host": host(), "device": "cpu"}
DIGITS: dict[str, Any] = {"network": "smallcnn", "dataset": "digits", "device": "cpu", "eval_every": 0}
REQUEST = RunRequest(methods=("sat",), seeds=2, checks=False, **DIGITS)


def jobs(*values: str, **changes: Any) -> list[RunJob]:
    return resolve_run(dataclasses.replace(REQUEST, values=(*VALUES, *values), **changes))


def start(
    store: Store, job: RunJob, spec: RunSpec, attempt: int = 1, provenance: dict[str, Any] = HERE, height: int = 8
) -> RunRecord:
    return store.start_run(
        spec,
        dataclasses.replace(job.dataset_record(), height=height),
        method_departures=job.method.departures(),
        network_departures=job.network.departures(),
        parameters=job.parameters,
        provenance=provenance,
        attempt=attempt,
    )


def add_epochs(store: Store, run: RunRecord, epochs: int, duration_s: float = 1.0) -> None:
    for epoch in range(1, epochs + 1):
        store.add_epoch(run.id, EpochRecord(epoch, 0.5, 0.1, IMAGES, duration_s))


def firsts(gap: AttackGap) -> tuple[int, ...]:
    """The first images of the missing blocks."""
    return tuple(first for first, _ in gap.blocks)


@dataclasses.dataclass(frozen=True)
class Place:
    """A missing evaluation, and where it is missing."""

    run: RunGap
    checkpoint: str
    gap: AttackGap


def places(missing: Missing) -> list[Place]:
    """Every evaluation that lacks blocks."""
    return [Place(run, model.checkpoint, gap) for run in missing.runs for model in run.models for gap in model.attacks]


def add_blocks(store: Store, place: Place, starts: tuple[int, ...], duration_s: float = 1.0) -> None:
    job, gap = place.run.job, place.gap
    run = store.newest_attempt(place.run.spec.identity)
    checkpoint = run and run.checkpoint(place.checkpoint)
    assert checkpoint
    opened = store.open_evaluation(
        checkpoint.id,
        gap.attack,
        job.attack_settings(gap.attack),
        gap.seed,
        job.examples,
        sample=job.images.sample,
    )
    for first, length in gap.blocks:
        if first in starts:
            store.add_block(BlockDone(opened, first, bytes([1] * length), duration_s, (), provenance=HERE))


def carry_out(store: Store, asked: list[RunJob], *, fresh: bool = False) -> Missing:
    """Do all that is missing, and give back what that was."""
    missing = find_missing(asked, store, fresh=fresh)
    for gap in missing.to_train:
        run = start(store, gap.job, gap.spec, gap.attempt)
        add_epochs(store, run, 4)
        for name, epoch in (("early", 2), ("last", 4)):
            store.add_checkpoint(run.id, name, epoch, "0" * 64)
        store.end_run(run.id)
    for place in places(missing):
        add_blocks(store, place, firsts(place.gap))
    return missing


def shape(missing: Missing) -> list[tuple[int, str, str, int, tuple[int, ...], int]]:
    """The evaluations that lack blocks, as plain values."""
    return [
        (p.run.spec.train_seed, p.checkpoint, p.gap.attack, p.gap.seed, firsts(p.gap), p.gap.images)
        for p in places(missing)
    ]


def asks(missing: Missing) -> set[tuple[str, str, int]]:
    return {(place.checkpoint, place.gap.attack, place.gap.seed) for place in places(missing)}


WHOLE = ((0, 100, 200, 300), 360)
