"""The queries of who watches the store: each look reads no verdicts, and little else of what is done.

Each look is a few short transactions: a reader of a file makes those wait who write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session, aliased

from harness.protocols.run_spec import run_label
from harness.store.items_seen import items_seen
from harness.store.leases import Leases
from harness.store.recorded import IDS_A_QUERY
from harness.store.schema import METADATA, BlockRow, CheckpointRow, DatasetRow, EpochRow, EvaluationRow
from harness.store.seen import STATES, FailedRun, RunFilter, RunSeen, UnfinishedEvaluations, WorkSeen
from harness.store.typed_columns import TypedColumns

_TABLES = METADATA.tables
_RUN, _MODEL, _PROTOCOL = _TABLES["runs"].c, _TABLES["models"].c, _TABLES["protocols"].c
_NAMED = ("method", "wrappers", "network", "dataset_id", "train_seed", "training", "status", "failure", "finished_utc")
_ALIKE = ("checkpoint_id", "attack", "settings_sha256", "seed", "examples", "sample")

Owners = tuple[Collection[int], Collection[int]]
"""The numbers of runs, and of models from elsewhere."""


class Watching(Leases):
    """The base of ``Store``: what somebody sees who watches it."""

    def work_seen(self, wanted: RunFilter, unfinished: UnfinishedEvaluations) -> WorkSeen:
        """How far all work is now.

        Args:
            unfinished: what earlier looks at this store found; it is brought up to date.
        """
        held = self.at_work(commands=True)  # first: if nobody works now, all that follows is final
        with self._reading() as session:
            rows = TypedColumns(session)
            chosen, models = _chosen_runs(rows, wanted), _chosen_models(rows, wanted)
            runs = list(_runs_seen(session, [number for number, status in chosen.items() if status != "done"]))
        states = self.states(runs)
        runs = [run for run in runs if wanted.state in (None, states[run.id].state)]
        done = [n for n, status in chosen.items() if status == "done" and wanted.state in (None, "done")]
        owners = None if wanted.takes_all else ({*done, *(run.id for run in runs)}, models)
        with self._reading() as session:
            begun, whole = _evaluations(session, unfinished, owners)
            found = list(
                items_seen(session, [one for one in held if not one.is_command], {run.id: run for run in runs})
            )
        items = [one for one in found if owners is None or one.run in owners[0] or one.model in owners[1]]
        counts = Counter(states[run.id].state for run in runs)
        counts["done"] += len(done)
        failed = [FailedRun(run.id, run.label, states[run.id]) for run in runs]
        failed = [one for one in failed if one.state.state in ("failed", "lost")]
        failed.sort(key=lambda one: (one.state.at_utc is not None, one.state.at_utc, one.id), reverse=True)
        totals = {state: counts[state] for state in STATES}
        workers = frozenset(one.worker for one in held)
        return WorkSeen(totals, begun, whole, items, failed, workers, filtered=owners is not None)


def _conditions(columns: Any, wanted: RunFilter, named: ColumnElement[str]) -> Iterator[ColumnElement[bool]]:
    """What runs and models have in common; a tag is looked for in the rows."""
    if wanted.dataset is not None:
        yield columns.dataset_id.in_(select(DatasetRow.id).where(DatasetRow.name == wanted.dataset))
    if wanted.network is not None:
        yield columns.network == wanted.network
    if wanted.method is not None:
        yield named == wanted.method
    if wanted.since is not None:
        yield columns.created_utc >= wanted.since


def _chosen_runs(rows: TypedColumns, wanted: RunFilter) -> dict[int, str]:
    """The status of each run that meets all that is wanted but its state, by its number."""
    every = select(_RUN.id, _RUN.status, *([] if wanted.tag is None else [_RUN.tags]))
    every = every.where(*_conditions(_RUN, wanted, _RUN.method))
    if (asked := wanted.protocol) is not None:
        known = rows.rows(select(_PROTOCOL.name, _PROTOCOL.fingerprint, _PROTOCOL.training_sha256))
        trained = {sha256 for name, mark, sha256 in known if name == asked or mark.startswith(asked)}
        every = every.where(_RUN.training_sha256.in_(trained))
    found = rows.rows(every.order_by(_RUN.id))
    return {number: status for number, status, *tags in found if wanted.tag is None or wanted.tag in tags[0]}


def _chosen_models(rows: TypedColumns, wanted: RunFilter) -> set[int]:
    """The models from elsewhere that meet all that is wanted."""
    if wanted.state is not None or wanted.protocol is not None:
        return set()
    found = rows.rows(select(_MODEL.id, _MODEL.tags).where(*_conditions(_MODEL, wanted, _MODEL.name)))
    return {number for number, tags in found if wanted.tag is None or wanted.tag in tags}


def _runs_seen(session: Session, numbers: list[int]) -> Iterator[RunSeen]:
    """These runs, with the epochs that they were trained for."""
    rows, datasets = TypedColumns(session), dict(session.execute(select(DatasetRow.id, DatasetRow.name)).all())
    for first in range(0, len(numbers), IDS_A_QUERY):
        some = numbers[first : first + IDS_A_QUERY]
        counted = select(EpochRow.run_id, func.count()).where(EpochRow.run_id.in_(some)).group_by(EpochRow.run_id)
        epochs = dict(session.execute(counted).all())
        every = select(_RUN.id, *(_RUN[name] for name in _NAMED)).where(_RUN.id.in_(some)).order_by(_RUN.id)
        for number, method, wrappers, network, dataset, seed, training, status, failure, finished in rows.rows(every):
            wanted = training.get("epochs")
            label = run_label(method, wrappers, network, datasets.get(dataset, "?"), seed)
            of_epochs = wanted if type(wanted) is int else None
            yield RunSeen(number, label, status, failure, finished, epochs.get(number, 0), of_epochs)


def _evaluations(session: Session, unfinished: UnfinishedEvaluations, owners: Owners | None) -> tuple[int, int]:
    """How many evaluations were begun, and how many of them are whole."""
    done = select(func.coalesce(func.sum(BlockRow.examples), 0)).where(BlockRow.evaluation_id == EvaluationRow.id)
    lacking = select(EvaluationRow.id).where(done.scalar_subquery() < EvaluationRow.examples)
    last = session.scalar(select(func.max(EvaluationRow.id))) or 0
    found = set(session.scalars(lacking.where(EvaluationRow.id > unfinished.last)))
    for some in _some(unfinished.numbers):
        found |= set(session.scalars(lacking.where(EvaluationRow.id.in_(some))))
    unfinished.last, unfinished.numbers = max(last, unfinished.last), found
    newer = aliased(EvaluationRow)
    same = (getattr(newer, name) == getattr(EvaluationRow, name) for name in _ALIKE)
    older = select(EvaluationRow.id).join(newer, and_(*same, EvaluationRow.attempt < newer.attempt))
    repeated = set(session.scalars(older.where(newer.attempt > 1)))
    lacking_now = found - repeated
    if owners is None:
        begun = (session.scalar(select(func.count()).select_from(EvaluationRow)) or 0) - len(repeated)
        return begun, begun - len(lacking_now)
    begun = _owned(session, owners) - sum(_owned(session, owners, some) for some in _some(repeated))
    return begun, begun - sum(_owned(session, owners, some) for some in _some(lacking_now))


def _owned(session: Session, owners: Owners, numbers: list[int] | None = None) -> int:
    """How many evaluations, all or of these numbers, belong to the owners."""
    place = (CheckpointRow.run_id, CheckpointRow.model_id)
    counted = select(*place, func.count()).join(EvaluationRow)
    counted = counted if numbers is None else counted.where(EvaluationRow.id.in_(numbers))
    runs, models = owners
    return sum(
        count for run, model, count in session.execute(counted.group_by(*place)) if run in runs or model in models
    )


def _some(numbers: Collection[int]) -> Iterator[list[int]]:
    """The numbers, as many at once as a query takes."""
    every = list(numbers)
    return (every[first : first + IDS_A_QUERY] for first in range(0, len(every), IDS_A_QUERY))
