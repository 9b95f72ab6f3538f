"""Attacks models: has their missing evaluations opened in the store, and keeps each block's verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from harness.errors import HarnessError, ModelFault, WorkerLost, one_line
from harness.events import (
    BlockDone,
    Ended,
    EvaluationProgress,
    Event,
    Examined,
    PlannedItem,
    Report,
    checks_key,
)
from harness.execution.attacked import Attacked, examination, opened
from harness.execution.claimed import Claimed
from harness.execution.claims import Claims
from harness.execution.log import LOG_FILE
from harness.execution.plan import block_item, checks_item, examination_key
from harness.execution.summary import Summary
from harness.execution.verdict_checks import verdicts_examined
from harness.execution.work import BlockWork, ExamineWork, Work
from harness.planning.cost import Prices
from harness.planning.gaps import ModelGap
from harness.store.leases import Lease
from harness.store.models import now
from harness.store.store import Store
from harness.trackers.outcomes import EvaluationDone, FindingsKept


class Attacking:
    """Attacks models, block by block and side by side.

    Args:
        listen: receives the progress, once the store has a block.
        summary: gets what was done.
        prices: what the items take, for the progress.
        claims: the items that this command holds.
        blocks: how many all models lack, also those that are not trained yet.
    """

    def __init__(
        self, store: Store, listen: Report, summary: Summary, prices: Prices, claims: Claims, blocks: int
    ) -> None:
        self._store, self._tell, self._summary, self._prices = store, listen, summary, prices
        self._claims, self._blocks = claims, blocks
        self._models: list[Attacked] = []
        self._examined: dict[str, tuple[Attacked, datetime]] = {}  # by key; since when the examination is planned
        self._works: dict[int, tuple[BlockWork, str]] = {}  # of each evaluation the first, and the model's owner
        self._left: Counter[int] = Counter()  # blocks of each evaluation
        self._kept: set[str] = set()  # items whose results are stored: if their process dies then, they are done again

    def add(self, models: Sequence[Attacked]) -> tuple[list[Work], list[PlannedItem]]:
        """Open the evaluations of models in the store; give their missing blocks and their examinations."""
        began = now()
        blocks = list(opened(models, self._store))
        examined = [model for model in models if model.gap.examine]
        works: list[Work] = [examination(model) for model in examined]
        planned = [self._checks_item(model) for model in examined]
        self._examined |= {work.key: (model, began) for work, model in zip(works, examined, strict=True)}
        for model, work in blocks:
            self._works.setdefault(work.evaluation_id, (work, model.owner))
            self._left[work.evaluation_id] += 1
            works.append(work)
            planned.append(block_item(work, model.gap, self._prices))
        self._blocks -= sum(model.gap.blocks for model in models) - len(blocks)
        self._models += models
        return works, planned

    def leave(self, gaps: Iterable[ModelGap]) -> None:
        """Count models out that cannot be attacked, since they were not trained."""
        self._blocks -= sum(gap.blocks for gap in gaps)

    def hear(self, event: Event) -> None:
        """Keep what an attack or an examination found, and tell of it."""
        if isinstance(event, Examined):
            key = checks_key(event.checkpoint_id, event.settings)
            model, _ = self._examined[key]
            if key not in self._kept and self._claims.keep(key, partial(self._keep, event, model)):
                self._kept.add(key)
                self._tell(Ended(key, event.duration_s))
        elif isinstance(event, BlockDone):
            first, owner = self._works[event.evaluation_id]
            work = replace(first, start=event.start)
            if work.key not in self._kept and self._claims.keep(work.key, partial(self._store.add_block, event)):
                self._kept.add(work.key)
                self._summary.busy_s[work.attack] += event.duration_s
                self._summary.blocks += 1
                self._summary.attacked.add(event.evaluation_id)
                self._tell(Ended(work.key, event.duration_s))
                place = (work.weights.label, work.weights.checkpoint, work.attack, work.seed)
                self._tell(EvaluationProgress(*place, self._summary.blocks, self._blocks))
                self._count_down(work, owner)
        else:
            self._tell(event)

    def wanted(self, work: Work) -> bool:
        """Whether an item is still to be done: another command may have done it after it was planned."""
        if isinstance(work, BlockWork):
            blocks = self._store.blocks(work.evaluation_id)
            if not any(start < work.start + work.length and work.start < start + n for start, n in blocks):
                return True
            self._tell(Ended(work.key))
            self._count_down(work, self._works[work.evaluation_id][1])
            return False
        assert isinstance(work, ExamineWork)
        _, began = self._examined[work.key]
        done = self._store.checkpoint(work.checkpoint_id).examinations
        if not any(one.settings == work.settings and one.created_utc >= began for one in done):
            return True
        self._tell(Ended(work.key))
        return False

    def end(self, work: Work, error: HarnessError | None, source: Claimed[Any]) -> None:
        """Keep how an item ended.

        Raises:
            HarnessError: a plugin, a data set, or weights cannot be used; what was done before is kept.
        """
        if isinstance(error, WorkerLost) and work.key in self._kept:
            error = None
        if not source.ended(work, error):
            return
        if isinstance(error, WorkerLost):
            self._tell(Ended(work.key, failed=True, reason=one_line(error)))
            self._summary.undone[work.key] = f"{error}; the same command tries it again"
        elif isinstance(error, ModelFault):
            raise ModelFault(*_failure(work, error)) from error
        elif error is not None:
            raise error

    def examine_verdicts(self) -> None:
        """Look at the verdicts of all models, now that they are there."""
        for model in self._models:
            found = verdicts_examined(self._store, model.checkpoint_id, model.gap.assessment, model.weights.label)
            if found is not None:
                self._keep(found, model)

    def _count_down(self, work: BlockWork, owner: str) -> None:
        """Count the blocks of an evaluation that are left, and tell of it when there is none."""
        self._left[work.evaluation_id] -= 1
        if not self._left[work.evaluation_id]:
            self._tell_of_whole(owner, work)

    def _tell_of_whole(self, owner: str, work: BlockWork) -> None:
        """Tell the accuracy of an evaluation that has all its verdicts."""
        verdicts = self._store.verdicts(work.evaluation_id)
        if len(verdicts) == work.images.count:  # else another command has blocks of it at work
            place = (owner, work.weights.checkpoint, work.attack, work.seed)
            self._tell(EvaluationDone(*place, correct=sum(verdicts), images=len(verdicts)))

    def _checks_item(self, model: Attacked) -> PlannedItem:
        label = f"{model.weights.label} {model.weights.checkpoint}"
        return checks_item(examination_key(model.checkpoint_id, model.gap), label, model.gap, self._prices)

    def _keep(self, event: Examined, model: Attacked, lease: Lease | None = None) -> None:
        facts = (event.settings, event.findings, event.duration_s, event.provenance)
        self._store.add_examination(event.checkpoint_id, *facts, lease)
        self._summary.busy_s["checks"] += event.duration_s
        self._tell(FindingsKept(model.owner, model.weights.checkpoint, event.findings))


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
