"""Networks of several seeds, trained and attacked in name only: what ``harness run --until-separated`` looks at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.execution.conduct import known_of
from harness.planning.run_job import RunJob, resolve_run
from harness.store.opening import WantedRun
from harness.store.store import Store
from tests.harness.execution import asked
from tests.stores import add_checkpoint, add_evaluation, right

VALUES = {"width": 1, "train.steps": 1, "evaluation.steps": 1, "block_size": 50, "checkpoints": "last"}
SET = " ".join(f"--set {key}={value}" for key, value in VALUES.items())
TINY = f"--dataset digits --arch smallcnn --epochs 1 {SET} --seeds 1 --limit 50 --attacks natural,pgd --no-checks"
TINY += " --workers 1 --device cpu --eval-every 0"
TINY_TOO: dict[str, Any] = {
    **{"dataset": "digits", "arch": "smallcnn", "epochs": 1, "set": VALUES, "seeds": 1, "limit": 50},
    **{"attacks": ["natural", "pgd"], "checks": False, "workers": 1, "device": "cpu", "eval_every": 0},
}
REQUEST = replace(
    asked.REQUEST,
    train_seeds=1,
    limit=50,
    eval_every=0,
    epochs=1,
    attacks=("natural", "pgd"),
    values=tuple(f"{key}={value}" for key, value in VALUES.items()),
)


def jobs(*methods: str, limit: int) -> list[RunJob]:
    return resolve_run(replace(REQUEST, methods=methods, until_separated=limit))


def keep(store: Store, job: RunJob, seed: int, correct: int) -> None:
    """A network of a job, trained and attacked: of 50 images so many are right under every attack."""
    wanted = WantedRun(spec=job.specs[seed], **known_of(job))
    (run,) = store.start_runs([wanted])
    checkpoint = add_checkpoint(store, run, "last", 1)
    store.end_run(run.id)
    for attack in job.attacks:
        settings = job.attack_settings(attack)
        add_evaluation(store, checkpoint, attack, settings, right(correct, 50), sample=job.images.sample)


def fill(figures: Mapping[str, Sequence[int]], limit: int, *, announced: bool = True) -> None:
    """Put networks into the project's store, each with its number of images that are right.

    Args:
        announced: whether they tell of the limit, as those do that were trained for it.
    """
    found = [job if announced else replace(job, looked_at={}) for job in jobs(*figures, limit=limit)]
    with_store = Store.write("leaderboard.db")
    for job in found:
        with_store.see_protocol(job.protocol_record(), job.protocol.training_document)
        for seed, correct in enumerate(figures[job.specs[0].method]):
            keep(with_store, job, seed, correct)
    with_store.close()


STAND_IN = {"standard": [10, 12, 11, 12, 10, 11, 12, 11], "sat": [11, 11, 12, 10, 12, 10, 11, 12]}
"""How many of 50 images are right, by training seed."""


def of_the_stand_in(seeds: int) -> tuple[list[float], list[float]]:
    first, second = ([2.0 * count for count in STAND_IN[name][:seeds]] for name in ("standard", "sat"))
    return first, second


def told(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)["until_separated"]
    return found
