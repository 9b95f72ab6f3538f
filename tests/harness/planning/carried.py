"""What a conductor does with a plan, without its networks: it enters runs, epochs, and blocks of verdicts."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.events import BlockDone, EpochRecord
from harness.planning.plan import EvaluationGap, Plan, make_plan
from harness.planning.run_request import RunJob, RunRequest, resolve_run
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
REQUEST = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", device="cpu", seeds=2, checks=False)


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


def firsts(gap: EvaluationGap) -> tuple[int, ...]:
    """The first images of the missing blocks."""
    return tuple(first for first, _ in gap.blocks)


def add_blocks(store: Store, job: RunJob, gap: EvaluationGap, starts: tuple[int, ...], duration_s: float = 1.0) -> None:
    run = store.newest_attempt(gap.spec.identity)
    checkpoint = run and run.checkpoint(gap.checkpoint)
    assert checkpoint
    opened = store.open_evaluation(
        checkpoint.id,
        gap.attack,
        job.attack_settings(gap.attack),
        gap.seed,
        job.examples,
        HERE,
        sample=job.images.sample,
    )
    for first, length in gap.blocks:
        if first in starts:
            store.add_block(BlockDone(opened, first, bytes([1] * length), duration_s, ()))


def carry_out(store: Store, asked: list[RunJob], *, fresh: bool = False) -> Plan:
    """Do all that the plan says, and give back the plan."""
    plan = make_plan(asked, store, fresh=fresh)
    owner = {spec.identity: job for job in asked for spec in job.specs}
    for gap in plan.to_train:
        run = start(store, owner[gap.spec.identity], gap.spec, gap.attempt)
        add_epochs(store, run, 4)
        for name, epoch in (("early", 2), ("last", 4)):
            store.add_checkpoint(run.id, name, epoch, "0" * 64)
        store.end_run(run.id)
    for missing in plan.evaluations:
        add_blocks(store, owner[missing.spec.identity], missing, firsts(missing))
    return plan


def shape(plan: Plan) -> list[tuple[int, str, str, int, tuple[int, ...], int]]:
    """The evaluations of a plan, as plain values."""
    return [(g.spec.train_seed, g.checkpoint, g.attack, g.seed, firsts(g), g.images) for g in plan.evaluations]


def asks(plan: Plan) -> set[tuple[str, str, int]]:
    return {(gap.checkpoint, gap.attack, gap.seed) for gap in plan.evaluations}


WHOLE = ((0, 100, 200, 300), 360)
