"""Attacks models: opens what is missing in the store, has it performed, and keeps every block's verdicts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, ModelFault
from harness.events import BlockDone, EvaluationProgress, Event, Examined, Report
from harness.execution.executors.executor import Executor
from harness.execution.summary import Summary
from harness.execution.work import LOG_FILE, BlockWork, ExamineWork, Work
from harness.identity import digest
from harness.planning.assessment import Assessment, AttackGap
from harness.plugin.ball import LINF
from harness.registry.shipped import code_of
from harness.rigour.checks import examine_verdicts
from harness.runtime.device import device_label
from harness.runtime.provenance import provenance
from harness.store.records import EvaluationRecord
from harness.store.store import Store
from harness.targets.model import Weights


@dataclass(frozen=True)
class _Contestant:
    """A model, how it is attacked, where its results and its log go, and whether its attacks begin again."""

    assessment: Assessment
    weights: Weights
    checkpoint_id: int
    folder: Path
    fresh: bool
    examine: bool = True  # the model itself, for which its weights are needed


class Attacking:
    """Attacks the models that were added; their blocks are performed side by side.

    Args:
        listen: hears how far it is, after the store has each block.
        summary: takes what was done, and how long it took.
    """

    def __init__(self, store: Store, listen: Report, summary: Summary) -> None:
        self._store, self._tell, self._summary = store, listen, summary
        self._contestants: list[_Contestant] = []

    def add(
        self, assessment: Assessment, weights: Weights, checkpoint_id: int, folder: Path, *, fresh: bool = False
    ) -> None:
        """A model to attack: what the store calls its weights, and the folder of its log.

        Args:
            fresh: whether it is attacked, and examined, again; what the store has is kept beside.
        """
        self._contestants.append(_Contestant(assessment, weights, checkpoint_id, folder, fresh))

    def items(self) -> int:
        """How many items of work there are; nothing is written."""
        return sum(map(self._items, self._contestants))

    def _items(self, contestant: _Contestant) -> int:
        checkpoint = self._store.checkpoint(contestant.checkpoint_id)
        gaps = contestant.assessment.gaps(checkpoint.evaluations, fresh=contestant.fresh)
        return sum(len(gap.blocks) for gap in gaps) + self._unexamined(contestant)

    def check_weights(self) -> None:
        """Before anything is written: raise HarnessError where weights that are to be attacked cannot be used.

        Where a model is only to be examined by newer checks, and its weights are gone, what older ones found stays.
        """
        for place, contestant in enumerate(self._contestants):
            if not self._items(contestant):
                continue
            try:
                contestant.weights.check(contestant.assessment.plugins)
            except HarnessError:
                without = replace(contestant, examine=False)
                if self._items(without) or contestant.fresh:
                    raise
                self._contestants[place] = without
                self._summary.unexamined += 1

    def attack(self, executor: Executor) -> None:
        """Run every attack's missing blocks, and the checks of rigour.

        Raises:
            HarnessError: a plugin, a data set, or weights that cannot be used; what was done before is kept.
        """
        started = time.perf_counter()
        blocks = [work for contestant in self._contestants for work in self._blocks(contestant)]
        by_id = {work.evaluation_id: work for work in blocks}
        works: list[Work] = [*(work for c in self._contestants for work in self._examination(c)), *blocks]

        done = 0

        def hear(event: Event) -> None:
            nonlocal done
            done += isinstance(event, (BlockDone, Examined))
            if isinstance(event, Examined):
                self._keep(event)
            if not isinstance(event, BlockDone):
                return self._tell(event)
            self._store.add_block(event)
            work = by_id[event.evaluation_id]
            self._summary.busy_s[work.attack] += event.duration_s
            self._summary.blocks += 1
            self._summary.attacked.add(event.evaluation_id)
            left = (time.perf_counter() - started) / done * (len(works) - done)
            place = (work.weights.label, work.weights.checkpoint, work.attack, work.seed)
            self._tell(EvaluationProgress(*place, self._summary.blocks, len(blocks), left))

        for outcome in executor.run(works, hear):
            if isinstance(outcome.error, ModelFault):
                raise ModelFault(_told(outcome.work, outcome.error)) from outcome.error
            if outcome.error is not None:
                raise outcome.error
        for contestant in self._contestants:
            self._examine_verdicts(contestant)
        self._summary.evaluation_s = time.perf_counter() - started

    def _blocks(self, contestant: _Contestant) -> Iterator[BlockWork]:
        """The missing blocks of a model, each evaluation opened in the store first."""
        done = self._store.checkpoint(contestant.checkpoint_id).evaluations
        for gap in contestant.assessment.gaps(done, fresh=contestant.fresh):
            if gap.blocks:
                yield from self._works(contestant, gap)

    @staticmethod
    def _common(contestant: _Contestant) -> dict[str, Any]:
        """What every item of work on a model has; one CPU thread, since blocks are performed side by side."""
        assessment = contestant.assessment
        return {
            "place": assessment.place,
            "dataset_fingerprint": assessment.dataset.fingerprint,
            "folder": contestant.folder,
            "device": assessment.device,
            "threads": 1,
            "plugins": assessment.plugins,
            "weights": contestant.weights,
            "threat": assessment.threat,
        }

    def _works(self, contestant: _Contestant, gap: AttackGap) -> Iterator[BlockWork]:
        assessment = contestant.assessment
        evaluation_id = self._store.open_evaluation(
            contestant.checkpoint_id,
            gap.attack,
            assessment.attack_settings(gap.attack),
            gap.seed,
            assessment.examples,
            provenance(device_label(assessment.device), threads=1),
            sample=assessment.images.sample,
            attempt=gap.attempt,
        )
        for start, length in gap.blocks:
            yield BlockWork(
                **self._common(contestant),
                evaluation_id=evaluation_id,
                attack=gap.attack,
                attack_settings=assessment.attacks[gap.attack].resolved(),
                attack_code=code_of(type(assessment.attacks[gap.attack])),
                seed=gap.seed,
                images=assessment.images,
                start=start,
                length=length,
            )

    # ---- checks of rigour

    def _unexamined(self, contestant: _Contestant) -> bool:
        known = None if contestant.fresh else self._store.checkpoint(contestant.checkpoint_id)
        return contestant.examine and contestant.assessment.unexamined(known)

    def _examination(self, contestant: _Contestant) -> Iterator[ExamineWork]:
        """The examination of the model itself, where it is wanted and not there yet."""
        assessment = contestant.assessment
        if self._unexamined(contestant):
            yield ExamineWork(
                **self._common(contestant),
                checkpoint_id=contestant.checkpoint_id,
                images=assessment.images,
                block_size=assessment.protocol.evaluation.block_size,
                settings=assessment.examination("model"),
            )

    def _examine_verdicts(self, contestant: _Contestant) -> None:
        """What the stored verdicts give away; kept where it says something new."""
        assessment = contestant.assessment
        if not assessment.checks:
            return
        checkpoint = self._store.checkpoint(contestant.checkpoint_id)
        evaluations = list(_comparable(checkpoint.evaluations, assessment))
        verdicts = self._store.verdicts_of([e.id for e in evaluations])
        by_attack: dict[str, list[EvaluationRecord]] = defaultdict(list)
        for evaluation in evaluations:
            by_attack[evaluation.attack].append(evaluation)
        started = time.perf_counter()
        findings = examine_verdicts(
            {attack: [verdicts[e.id] for e in several] for attack, several in by_attack.items()},
            assessment.attack_types,
            assessment.dataset.test.labels[assessment.dataset.places(assessment.images)].cpu(),
            {attack: [text for e in several for text in e.warnings] for attack, several in by_attack.items()},
            assessment.protocol.evaluation.block_size,
            assessment.dataset.classes,
        )
        settings = assessment.examination("verdicts")
        known = [examination.findings for examination in checkpoint.examinations if examination.settings == settings]
        if known != [tuple(findings)]:
            duration = time.perf_counter() - started
            self._keep(Examined(checkpoint.id, contestant.weights.label, settings, tuple(findings), duration))

    def _keep(self, event: Examined) -> None:
        device = self._contestants[0].assessment.device
        where = provenance(device_label(device), threads=1)
        self._store.add_examination(event.checkpoint_id, event.settings, event.findings, event.duration_s, where)
        self._summary.busy_s["checks"] += event.duration_s


def _comparable(evaluations: Iterable[EvaluationRecord], assessment: Assessment) -> Iterator[EvaluationRecord]:
    """Complete evaluations on the same images in the same ball; of the protocol's attacks, those under its settings."""
    threat = assessment.threat
    for e in evaluations:
        known = e.attack in assessment.attacks
        same = not known or e.settings_sha256 == digest(assessment.attack_settings(e.attack))
        ball = (e.settings.get("epsilon"), e.settings.get("norm", LINF))
        still = "epsilon" not in e.settings  # it moves nothing, in any ball
        if e.complete and e.images == assessment.images and same and (still or ball == (threat.epsilon, threat.norm)):
            yield e


def _told(work: Work, fault: ModelFault) -> str:
    """Which model failed, and during what."""
    assert isinstance(work, (BlockWork, ExamineWork))
    during = (
        f"{work.attack}, seed {work.seed}, on the images {work.start} to {work.start + work.length - 1}"
        if isinstance(work, BlockWork)
        else "the checks of rigour"
    )
    return (
        f"{work.weights.label} {fault}, during {during}; make it answer whatever images in [0, 1] it is asked, and run"
        f" the command again: its traceback is in {work.folder / LOG_FILE}, and what was done before is kept"
    )
