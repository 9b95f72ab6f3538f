"""``--until-separated``: training seeds are added one by one, until the methods are separated or the limit is reached.

Every look is at the stored verdicts of the seeds 0, 1, ... in order. So the same command goes on where it stood, and
says the same again when all is done.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.errors import SettingError
from harness.leaderboard.board import Row
from harness.leaderboard.failed_seeds import AT_CHANCE, FailedSeed
from harness.leaderboard.render_json import interval_document
from harness.planning.missing import Missing, RunGap
from harness.planning.run_job import RunJob, method_label
from harness.runtime.provenance import looked_at
from harness.statistics.crossing import FIRST
from harness.statistics.paired import ALPHA
from harness.statistics.separation import SeparatedPair, Separation, separations

REMARK = (
    "these seeds were added by looking: the figures here count for them; the p-values of `harness compare` and the mark"
    " ≈ of a board do not"
)


@dataclass(frozen=True)
class Separated:
    """What the looks at some methods came to, under one attack on one checkpoint.

    Attributes:
        found: the newest look at every pair.
        collapsed: method -> its networks at chance among those that were looked at. They count in the looks.
        trained_before: method -> the seeds among those that were looked at which were trained without a limit. Whoever
            saw their figures, and then named one, did not name it in advance.
    """

    found: Separation
    attack: str
    checkpoint: str
    collapsed: Mapping[str, Sequence[FailedSeed]] = field(default_factory=dict)
    trained_before: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The looks in JSON types; differences are first minus second, in points."""
        found = self.found
        return {
            "unit": "training seeds",
            "test": "sequential paired t",
            "attack": self.attack,
            "checkpoint": self.checkpoint,
            "limit": found.limit,
            "seeds": found.seeds,
            "alpha": ALPHA,
            "separated": sum(pair.separated for pair in found.pairs),
            "without_figure": dict(found.without),
            "collapsed": {method: [asdict(seed) for seed in seeds] for method, seeds in self.collapsed.items()},
            "trained_before": {method: list(seeds) for method, seeds in self.trained_before.items()},
            "pairs": [_pair_document(pair) for pair in found.pairs],
            "remark": REMARK,
        }

    @property
    def line(self) -> str:
        """The newest look in one line: how many pairs are separated, and the open pair that is nearest to it."""
        found = self.found
        count = sum(pair.separated for pair in found.pairs)
        text = f"after {found.seeds} of at most {found.limit} training seeds {count} of {len(found.pairs)} pairs are"
        left = sorted((pair for pair in found.pairs if pair.open), key=lambda pair: pair.p_holm)
        nearest = f"; the next is {left[0].first} - {left[0].second}, p {left[0].p_holm:.3f}" if left else ""
        return f"{text} separated under {self.attack}{nearest}"


def _pair_document(pair: SeparatedPair) -> dict[str, Any]:
    interval = interval_document(pair.interval, "repeated t", "training seeds", pair.n)
    return {
        "first": pair.first,
        "second": pair.second,
        "n": pair.n,
        "difference": pair.difference,
        "interval": interval,
        "p": pair.p,
        "p_holm": pair.p_holm,
        "separated": pair.separated,
    }


class Separating:
    """The looks of one command, and the networks that the next one needs.

    Args:
        whole: a job of each method, with the seeds up to the limit.
        begin: seeds of each method before the first look; ``FIRST`` at the least.
    Attributes:
        jobs: with the seeds that are needed by now.
    """

    def __init__(self, whole: Sequence[RunJob], begin: int) -> None:
        self._whole = {method_label(job.specs[0].method, job.method): job for job in whole}
        first = whole[0]
        self.limit: int = first.looked_at["limit"]
        self._attack, self._checkpoint = first.looked_at["attack"], first.protocol.evaluation.checkpoints[-1]
        self._counts = dict.fromkeys(self._whole, min(self.limit, max(FIRST, begin)))
        self._told = 0  # seeds of the newest look that was told
        self._methods: dict[int, str] = {}  # of the runs that were looked at, by number
        (before,) = separations(dict.fromkeys(self._whole, ()), self.limit)
        self.separated = Separated(before, self._attack, self._checkpoint)
        self.jobs = self._needed()

    @property
    def at_the_limit(self) -> list[RunJob]:
        """The jobs if no open pair is separated before the limit."""
        counts = {label: self.limit if label in self.separated.found.open else n for label, n in self._counts.items()}
        return [replace(job, specs=job.specs[: counts[label]]) for label, job in self._whole.items()]

    @property
    def decided(self) -> bool:
        """Whether no further seed is needed."""
        return not self.separated.found.open

    def walk(self, find: Callable[[Sequence[RunJob]], Missing]) -> None:
        """Go through the looks at what is stored already, up to the first network that is missing.

        Raises:
            SettingError: networks of these methods were added with another limit.
        """
        self._refuse_another_limit(find(self.at_the_limit).runs)
        while (missing := find(self.jobs)).idle:
            self.look(missing)
            if self.decided:
                return

    def look(self, missing: Missing) -> list[str]:
        """Look at the networks of ``jobs``, and take the next seed of each method that is still open into ``jobs``.

        Args:
            missing: of ``jobs``; their records are read.
        Returns:
            A line for each look that is new.
        """
        figures: dict[str, list[float | None]] = {label: [] for label in self._whole}
        before: dict[str, list[int]] = {}
        for run in missing.runs:
            label = method_label(run.spec.method, run.job.method)
            figures[label].append(self._figure(run))
            if run.record is not None:
                self._methods[run.record.id] = label
                if looked_at(run.record.provenance) is None:
                    before.setdefault(label, []).append(run.spec.train_seed)
        lines = []
        for seen in separations(figures, self.limit):
            taken_in = {label: [seed for seed in seeds if seed < seen.seeds] for label, seeds in before.items()}
            told = {label: seeds for label, seeds in taken_in.items() if seeds}
            self.separated = replace(self.separated, found=seen, trained_before=told)
            if seen.seeds > self._told:
                self._told = seen.seeds
                lines.append(self.separated.line)
        for label in self.separated.found.open:
            self._counts[label] = min(self.limit, max(self._counts[label], self.separated.found.seeds + 1))
        self.jobs = self._needed()
        return lines

    def with_collapsed(self, rows: Iterable[Row]) -> Separated:
        """What the looks came to, with the networks at chance that were looked at.

        Args:
            rows: of the board of these runs; they know which of their networks collapsed.
        """
        collapsed: dict[str, list[FailedSeed]] = {}
        for row in rows:
            for seed in row.failed.seeds if row.failed is not None and row.checkpoint == self._checkpoint else ():
                label = self._methods.get(seed.run or 0)
                if seed.how == AT_CHANCE and label is not None and seed.train_seed < self.separated.found.seeds:
                    collapsed.setdefault(label, []).append(seed)
        return replace(self.separated, collapsed=collapsed)

    def _needed(self) -> list[RunJob]:
        return [replace(job, specs=job.specs[: self._counts[label]]) for label, job in self._whole.items()]

    def _figure(self, run: RunGap) -> float | None:
        """The median over the attack seeds that were asked for; None where the network failed, or verdicts lack."""
        job, record = run.job, run.record
        held = record.checkpoint(self._checkpoint) if record is not None and run.trained else None
        wanted = (self._attack, job.attack_digest(self._attack), job.images)
        seeds = job.attack_seeds(self._attack)
        found = [
            e.percent
            for e in (held.evaluations if held is not None else ())
            if (e.attack, e.settings_sha256, e.images) == wanted and e.seed in seeds and e.complete
        ]
        return statistics.median(found) if len(found) == len(seeds) else None

    def _refuse_another_limit(self, runs: Sequence[RunGap]) -> None:
        """Refuse a limit that was chosen after looking: a network of these methods says that it was another one."""
        for run in runs:
            known = looked_at(run.record.provenance) if run.record is not None else None
            if known is None or known.limit == self.limit or known.attack != self._attack:
                continue
            both = sorted(self._whole.keys() & known.methods)
            if len(both) > 1:
                raise SettingError(
                    f"--until-separated {self.limit} is refused: {' and '.join(both)} were looked at with the limit"
                    f" {known.limit}, and a limit counts only if it is named in advance; give --until-separated"
                    f" {known.limit}"
                )
