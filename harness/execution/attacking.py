"""Attacks models: opens what is missing in the store, has it performed, and keeps every block's verdicts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.assessment import Assessment, AttackGap
from harness.device import device_label
from harness.events import BlockDone, EvaluationProgress, Event, Report
from harness.execution.executor import Executor
from harness.execution.subject import Subject
from harness.execution.summary import Summary
from harness.execution.work import BlockWork
from harness.provenance import provenance
from harness.store.store import Store


@dataclass(frozen=True)
class _Contestant:
    """A model, how it is attacked, and where its results and its log go."""

    assessment: Assessment
    subject: Subject
    checkpoint_id: int
    folder: Path


class Attacking:
    """Attacks the models that were added; their blocks are performed side by side.

    Args:
        listen: hears how far it is, after the store has each block.
        summary: takes what was done, and how long it took.
    """

    def __init__(self, store: Store, executor: Executor, listen: Report, summary: Summary) -> None:
        self._store, self._executor, self._tell, self._summary = store, executor, listen, summary
        self._contestants: list[_Contestant] = []

    def add(self, assessment: Assessment, subject: Subject, checkpoint_id: int, folder: Path) -> None:
        """A model to attack: what the store calls its weights, and the folder of its log."""
        self._contestants.append(_Contestant(assessment, subject, checkpoint_id, folder))

    def attack(self) -> None:
        """Run every attack's missing blocks.

        Raises:
            HarnessError: a plugin, a data set, or weights that cannot be used; what was done before is kept.
        """
        started = time.perf_counter()
        works = [work for contestant in self._contestants for work in self._blocks(contestant)]
        by_id = {work.evaluation_id: work for work in works}

        def hear(event: Event) -> None:
            if not isinstance(event, BlockDone):
                return self._tell(event)
            self._store.add_block(event)
            work = by_id[event.evaluation_id]
            self._summary.busy_s[work.attack] += event.duration_s
            self._summary.blocks += 1
            left = (time.perf_counter() - started) / self._summary.blocks * (len(works) - self._summary.blocks)
            place = (work.subject.label, work.subject.checkpoint, work.attack, work.seed)
            self._tell(EvaluationProgress(*place, self._summary.blocks, len(works), left))

        for outcome in self._executor.run(works, hear):
            if outcome.error is not None:
                raise outcome.error
        self._summary.evaluation_s = time.perf_counter() - started

    def _blocks(self, contestant: _Contestant) -> Iterator[BlockWork]:
        """The missing blocks of a model, each evaluation opened in the store first."""
        done = self._store.checkpoint(contestant.checkpoint_id).evaluations
        for gap in contestant.assessment.gaps(done):
            if gap.blocks:
                yield from self._works(contestant, gap)

    def _works(self, contestant: _Contestant, gap: AttackGap) -> Iterator[BlockWork]:
        assessment = contestant.assessment
        evaluation_id = self._store.open_evaluation(
            contestant.checkpoint_id,
            gap.attack,
            assessment.attack_settings(gap.attack),
            gap.seed,
            assessment.examples,
            provenance(device_label(assessment.device), threads=1),
        )
        for start, length in gap.blocks:
            yield BlockWork(
                place=assessment.place,
                dataset_fingerprint=assessment.dataset.fingerprint,
                folder=contestant.folder,
                device=assessment.device,
                threads=1,
                plugins=assessment.plugins,
                subject=contestant.subject,
                evaluation_id=evaluation_id,
                attack=gap.attack,
                attack_settings=assessment.attacks[gap.attack].resolved(),
                threat=assessment.threat,
                seed=gap.seed,
                start=start,
                length=length,
            )
