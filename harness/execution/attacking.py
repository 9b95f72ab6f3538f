"""Attacks models: opens the missing evaluations in the store, has the work done, and keeps each block's verdicts."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, ModelFault, WorkerLost, one_line
from harness.events import (
    BlockDone,
    Ended,
    EvaluationProgress,
    Event,
    Examined,
    Phase,
    Planned,
    PlannedItem,
    Report,
    checks_key,
)
from harness.execution.claims import Claims
from harness.execution.executors.executor import Executor
from harness.execution.log import LOG_FILE
from harness.execution.plan import block_item, checks_item, examination_key
from harness.execution.summary import Summary
from harness.execution.verdict_checks import verdicts_examined
from harness.execution.work import BlockWork, ExamineWork, Work
from harness.planning.cost import Prices
from harness.planning.gaps import AttackGap, ModelGap
from harness.registry.shipped import code_of
from harness.store.leases import Lease
from harness.store.models import now
from harness.store.opening import WantedEvaluation
from harness.store.store import Store
from harness.targets.model import Weights
from harness.trackers.outcomes import EvaluationDone, FindingsKept


@dataclass(frozen=True)
class Attacked:
    """A model to attack: its gap, its weights, the store's number for them, the folder of its log, and its owner."""

    gap: ModelGap
    weights: Weights
    checkpoint_id: int
    folder: Path
    owner: str = ""  # as ``OwnerOpened`` names it


def usable(models: Iterable[Attacked], summary: Summary) -> list[Attacked]:
    """Check the weights of all models that have work to do, before anything is written; give the models.

    If the weights of a model are gone, and only newer checks of rigour are missing, the model is left as it is.

    Raises:
        HarnessError: weights to attack cannot be used.
    """
    found = []
    for model in models:
        try:
            if model.gap.items:
                model.weights.check(model.gap.assessment.plugins)
        except HarnessError:
            if model.gap.attacks:
                raise
            model = replace(model, gap=replace(model.gap, examine=False))
            summary.unexamined += 1
        found.append(model)
    return found


class Attacking:
    """Attacks models, block by block and side by side.

    Args:
        listen: receives the progress, once the store has a block.
        summary: gets what was done, and how long it took.
        prices: what the items take, for the progress.
        claims: the items that this command holds.
    """

    def __init__(self, store: Store, listen: Report, summary: Summary, prices: Prices, claims: Claims) -> None:
        self._store, self._tell, self._summary, self._prices = store, listen, summary, prices
        self._claims = claims

    def attack(
        self, models: Sequence[Attacked], executor: Executor, cores: int = 1, threads: int | None = None
    ) -> None:
        """Run every attack's missing blocks, and the checks of rigour.

        Args:
            cores: how many cores the items share; the last items get several each, so that none is idle.
            threads: of each item; None: ``cores`` says.
        Raises:
            HarnessError: a plugin, a data set, or weights cannot be used; what was done before is kept.
        """
        started, began = time.perf_counter(), now()
        opened = list(self._blocks([(model, gap) for model in models for gap in model.gap.attacks]))
        examined = [model for model in models if model.gap.examine]
        by_id = {work.evaluation_id: work for _, work in opened}
        owners = {work.evaluation_id: model.owner for model, work in opened}
        left = Counter(work.evaluation_id for _, work in opened)  # blocks of each evaluation
        by_key = {examination_key(model.checkpoint_id, model.gap): model for model in examined}
        items: list[Work] = [*map(_examination, examined), *(work for _, work in opened)]
        each = threads_of(len(items), cores) if threads is None else [threads] * len(items)
        works = [replace(work, threads=n) for work, n in zip(items, each, strict=True)]
        planned = [self._checks_item(model) for model in examined]
        planned += [block_item(work, model.gap, self._prices) for model, work in opened]
        self._tell(Planned((Phase(tuple(planned), executor.workers),)))
        kept: set[str] = set()  # items whose results are stored: if their process dies then, they are done again

        def hear(event: Event) -> None:
            if isinstance(event, Examined):
                key = checks_key(event.checkpoint_id, event.settings)
                if key not in kept and self._claims.keep(key, partial(self._keep, event, by_key[key])):
                    kept.add(key)
                    self._tell(Ended(key, event.duration_s))
            if not isinstance(event, BlockDone):
                return self._tell(event)
            work = replace(by_id[event.evaluation_id], start=event.start)
            if work.key not in kept and self._claims.keep(work.key, partial(self._store.add_block, event)):
                kept.add(work.key)
                self._summary.busy_s[work.attack] += event.duration_s
                self._summary.blocks += 1
                self._summary.attacked.add(event.evaluation_id)
                self._tell(Ended(work.key, event.duration_s))
                place = (work.weights.label, work.weights.checkpoint, work.attack, work.seed)
                self._tell(EvaluationProgress(*place, self._summary.blocks, len(opened)))
                self._count_down(work, left, owners)

        def wanted(work: Work) -> bool:
            missing = not self._done_elsewhere(work, began)
            if not missing:
                self._tell(Ended(work.key))
            if isinstance(work, BlockWork) and not missing:
                self._count_down(work, left, owners)
            return missing

        for outcome in executor.run(self._claims.each(works, wanted), hear):
            if isinstance(outcome.error, WorkerLost) and outcome.work.key in kept:
                outcome = replace(outcome, error=None)
            if not self._claims.ended(outcome.work, outcome.error):
                continue
            if isinstance(outcome.error, WorkerLost):
                self._tell(Ended(outcome.work.key, failed=True, reason=one_line(outcome.error)))
                self._summary.undone[outcome.work.key] = f"{outcome.error}; the same command tries it again"
                continue
            if isinstance(outcome.error, ModelFault):
                raise ModelFault(*_failure(outcome.work, outcome.error)) from outcome.error
            if outcome.error is not None:
                raise outcome.error
        self._claims.raise_if_stopped()
        for model in models:
            found = verdicts_examined(self._store, model.checkpoint_id, model.gap.assessment, model.weights.label)
            if found is not None:
                self._keep(found, model)
        self._summary.evaluation_s = time.perf_counter() - started

    def _done_elsewhere(self, work: Work, began: datetime) -> bool:
        """Whether another command did an item after this one was planned."""
        if isinstance(work, BlockWork):
            blocks = self._store.blocks(work.evaluation_id)
            return any(start < work.start + work.length and work.start < start + n for start, n in blocks)
        assert isinstance(work, ExamineWork)
        done = self._store.checkpoint(work.checkpoint_id).examinations
        return any(one.settings == work.settings and one.created_utc >= began for one in done)

    def _count_down(self, work: BlockWork, left: Counter[int], owners: Mapping[int, str]) -> None:
        """Count the blocks of an evaluation that are left, and tell of it when there is none."""
        left[work.evaluation_id] -= 1
        if not left[work.evaluation_id]:
            self._tell_of_whole(owners[work.evaluation_id], work)

    def _tell_of_whole(self, owner: str, work: BlockWork) -> None:
        """Tell the accuracy of an evaluation that has all its verdicts."""
        verdicts = self._store.verdicts(work.evaluation_id)
        if len(verdicts) == work.images.count:  # else another command has blocks of it at work
            place = (owner, work.weights.checkpoint, work.attack, work.seed)
            self._tell(EvaluationDone(*place, correct=sum(verdicts), images=len(verdicts)))

    def _checks_item(self, model: Attacked) -> PlannedItem:
        label = f"{model.weights.label} {model.weights.checkpoint}"
        return checks_item(examination_key(model.checkpoint_id, model.gap), label, model.gap, self._prices)

    def _blocks(self, gaps: Sequence[tuple[Attacked, AttackGap]]) -> Iterator[tuple[Attacked, BlockWork]]:
        """Open the evaluations in the store, and give their missing blocks, each with its model.

        The plan may be hours old: blocks that another command has stored since are left out.
        """
        numbers = self._store.open_evaluations([_wanted(*one) for one in gaps])
        stored = self._store.blocks_of(numbers)
        known: dict[tuple[int, str], tuple[dict[str, Any], str]] = {}  # thousands of blocks share an attack
        for (model, gap), number in zip(gaps, numbers, strict=True):
            assessment, common = model.gap.assessment, _common(model)
            if (id(assessment), gap.attack) not in known:
                attack = assessment.attacks[gap.attack]
                known[id(assessment), gap.attack] = attack.resolved(), code_of(type(attack))
            settings, code = known[id(assessment), gap.attack]
            for start, length in gap.without(stored[number]).blocks:
                work = BlockWork(
                    **common,
                    evaluation_id=number,
                    attack=gap.attack,
                    attack_settings=settings,
                    attack_code=code,
                    seed=gap.seed,
                    start=start,
                    length=length,
                )
                yield model, work

    def _keep(self, event: Examined, model: Attacked, lease: Lease | None = None) -> None:
        facts = (event.settings, event.findings, event.duration_s, event.provenance)
        self._store.add_examination(event.checkpoint_id, *facts, lease)
        self._summary.busy_s["checks"] += event.duration_s
        self._tell(FindingsKept(model.owner, model.weights.checkpoint, event.findings))


def threads_of(items: int, cores: int) -> list[int]:
    """The threads of each item: one, while there are items for all cores; the last few share the cores.

    They are fixed before the work, as the last bit may depend on them. ``OMP_NUM_THREADS`` is the most.
    """
    last, given = items % cores, os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    most = int(given) if given.isdecimal() else cores
    return [1] * (items - last) + [max(1, min(most, cores // last))] * last if last else [1] * items


def _common(model: Attacked) -> dict[str, Any]:
    """The fields of every item of work on a model."""
    assessment = model.gap.assessment
    return {
        "place": assessment.place,
        "dataset_fingerprint": assessment.dataset.fingerprint,
        "folder": model.folder,
        "device": assessment.device,
        "threads": 1,
        "plugins": assessment.plugins,
        "plain": assessment.plain,
        "weights": model.weights,
        "threat": assessment.threat,
        "images": assessment.images,
    }


def _wanted(model: Attacked, gap: AttackGap) -> WantedEvaluation:
    """The evaluation that a gap is of."""
    assessment = model.gap.assessment
    return WantedEvaluation(
        checkpoint_id=model.checkpoint_id,
        attack=gap.attack,
        settings=assessment.attack_settings(gap.attack),
        seed=gap.seed,
        examples=assessment.examples,
        sample=assessment.images.sample,
        attempt=gap.attempt,
    )


def _examination(model: Attacked) -> ExamineWork:
    """The examination of the model itself."""
    assessment = model.gap.assessment
    return ExamineWork(
        **_common(model),
        checkpoint_id=model.checkpoint_id,
        block_size=assessment.protocol.evaluation.block_size,
        settings=assessment.examination("model"),
    )


def _failure(work: Work, fault: ModelFault) -> tuple[str, str]:
    """Which model failed, and during what; and what to do."""
    assert isinstance(work, (BlockWork, ExamineWork))
    during = (
        f"{work.attack}, seed {work.seed}, on the images {work.start} to {work.start + work.length - 1}"
        if isinstance(work, BlockWork)
        else "the checks of rigour"
    )
    return f"{work.weights.label} {fault}, during {during}", (
        "make it answer any images in [0, 1], and run"
        f" the command again: its traceback is in {work.folder / LOG_FILE}, and what was done before is kept"
    )
