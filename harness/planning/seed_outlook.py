"""What the training seeds of a plan will be able to tell, from the spread of the rows that the store has already."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from harness.identity import digest
from harness.leaderboard.columns import Column
from harness.leaderboard.contestants import Contestant, contestants
from harness.planning.run_job import RunJob
from harness.statistics.collapse import collapsed_under
from harness.statistics.paired import ALPHA
from harness.statistics.power import POWER, SeedNoise, paired_noise, seeds_needed, smallest_difference
from harness.store.store import Store

PLANNED_FOR = 1.0
"""Points; the outlook says how many seeds this difference needs."""


@dataclass(frozen=True, kw_only=True)
class SeedOutlook:
    """What the seeds of a plan can tell on one board. The unit of inference is the training seed.

    Attributes:
        rows: how many stored rows have two training seeds in common with another one, or more.
        std: deviation of the difference of two rows' networks of one seed, in points: the root mean square over all
            pairs of rows. ``least`` and ``most`` are the pair's with the least and the most deviation.
        seeds: training seeds of each method in the plan.
        smallest: the smallest true difference, in points, that a paired t-test at ``alpha`` finds with chance
            ``power``; None for one seed.
        needed: the seeds that a difference of ``PLANNED_FOR`` points needs; None: over ``MOST_SEEDS``.
    """

    dataset: str
    network: str
    checkpoint: str
    attack: str
    rows: int
    std: float
    least: float
    most: float
    seeds: int
    smallest: float | None
    needed: int | None
    planned_for: float = PLANNED_FOR
    alpha: float = ALPHA
    power: float = POWER

    def document(self) -> dict[str, Any]:
        """The outlook in JSON types."""
        return {"unit": "training seeds"} | asdict(self)

    @property
    def line(self) -> str:
        """The outlook in words, in one line."""
        of_one = "1 a method tells no methods apart"
        told = of_one if self.smallest is None else f"{self.seeds} a method tell {self.smallest:.2f} points apart"
        needed = "more than can be trained" if self.needed is None else f"{self.needed}"
        return (
            f"training seeds: {told} in {self.attack} ({100 * self.power:g} % chance, one paired t-test at"
            f" {100 * self.alpha:g} %), {self.planned_for:g} point needs {needed}; from {self.rows} stored rows of this"
            f" board, whose differences have deviation {self.std:.2f} ({self.least:.2f} to {self.most:.2f})"
        )


def seed_outlook(jobs: Sequence[RunJob], store: Store) -> list[SeedOutlook]:
    """What the seeds of some jobs can tell, one outlook a board; nothing where the store cannot say.

    A board is judged by the last attack of its protocol, on the last of the checkpoints that are evaluated. The store
    can say where two rows of this board and this network have two training seeds in common.
    """
    boards = {_board(job): job for job in jobs}
    known = list(contestants(*store.standings())) if boards else []
    return [found for job in boards.values() if (found := _of_board(job, known)) is not None]


def _board(job: RunJob) -> tuple[str, ...]:
    rest = [job.specs[0].network, job.network.departures(), job.images.count, job.images.sample]
    return job.protocol.fingerprint, job.dataset.fingerprint, _checkpoint(job), digest(rest)


def _checkpoint(job: RunJob) -> str:
    return job.protocol.evaluation.checkpoints[-1]


def _of_board(job: RunJob, known: Sequence[Contestant]) -> SeedOutlook | None:
    attack = list(job.scope.attacks)[-1]
    column = Column(attack, {attack: job.scope.attacks[attack]}, job.images)
    rows = [row for row in _rows(job, column, known) if len(row) > 1]
    noises = list(_noises(rows))
    if not noises:
        return None
    # pairs of rows share rows, so that their degrees of freedom do not add up: those of one row do
    known_by = float(sum(len(row) - 1 for row in rows))
    square = sum(noise.std**2 * noise.known for noise in noises) / sum(noise.known for noise in noises)
    noise = SeedNoise(math.sqrt(square), 1.0, known_by)
    if not noise.std:
        return None
    seeds = len(job.specs)
    return SeedOutlook(
        dataset=job.dataset.name,
        network=job.specs[0].network,
        checkpoint=_checkpoint(job),
        attack=attack,
        rows=len(rows),
        std=noise.std,
        least=min(one.std for one in noises),
        most=max(one.std for one in noises),
        seeds=seeds,
        smallest=smallest_difference(noise, seeds) if seeds > 1 else None,
        needed=seeds_needed(noise, PLANNED_FOR),
    )


def _rows(job: RunJob, column: Column, known: Sequence[Contestant]) -> list[dict[int, float]]:
    """The stored rows beside which the job's will stand: training seed -> median over attack seeds, in percent.

    A row with a collapsed seed is left out: its deviation is that of no network, and would be planned for all methods.
    """
    spec, training = job.specs[0], digest(job.protocol.training_document)
    network = (spec.network, job.network.departures(), spec.code.get("network"))
    rows: dict[str, dict[int, float]] = defaultdict(dict)
    for one in known:
        place = (one.dataset.fingerprint, one.training_sha256, one.checkpoint.name)
        if (
            place == (job.dataset.fingerprint, training, _checkpoint(job))
            and (one.network, one.network_settings, one.code.get("network")) == network
            and one.train_seed is not None
            and (evaluations := column.evaluations(one)[column.name])
        ):
            rows[one.kin][one.train_seed] = statistics.median(e.percent for e in evaluations)
    images, classes = job.images.count, len(job.dataset.classes)
    return [
        row
        for row in rows.values()
        if not any(collapsed_under([percent * images / 100 for percent in row.values()], images, classes))
    ]


def _noises(rows: Sequence[dict[int, float]]) -> Iterator[SeedNoise]:
    """The noise of the differences of each two rows that have two training seeds in common, or more."""
    for one, other in combinations(rows, 2):
        seeds = sorted(one.keys() & other.keys())
        if len(seeds) > 1:
            yield paired_noise([one[seed] for seed in seeds], [other[seed] for seed in seeds])
