"""The query of the list of runs: less than their records, so that ten thousand are soon read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from harness.runtime.collector import collector_paused
from harness.store.queries import dataset_record
from harness.store.schema import METADATA, DatasetRow
from harness.store.standing import RunStanding
from harness.store.standings import Standings
from harness.store.typed_columns import TypedColumns

_RUN, _EPOCH = METADATA.tables["runs"].c, METADATA.tables["epochs"].c
_OWN = ("status", "attempt", "failure", "created_utc", "finished_utc", "training", "note", "tags")
_STANDING = (
    *("method", "method_settings", "method_departures", "wrappers", "network", "network_settings"),
    *("network_departures", "training_sha256", "train_seed", "code"),
)


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run in any state; see ``RunRecord``. Its checkpoints come without their examinations."""

    id: int
    standing: RunStanding
    epochs: int  # that were trained
    status: str
    attempt: int
    failure: str | None
    created_utc: datetime
    finished_utc: datetime | None
    training: dict[str, Any]
    note: str | None
    tags: list[str]


class Listing(Standings):
    """The base of ``Store``: its list of runs."""

    def listed_runs(self) -> list[ListedRun]:
        """Every run, in the order of their numbers."""
        columns = (_RUN.id, _RUN.dataset_id, *(_RUN[name] for name in (*_OWN, *_STANDING)))
        with collector_paused(), self._reading() as session:
            rows = TypedColumns(session)
            datasets = {row.id: row for row in session.scalars(select(DatasetRow))}
            counts = select(_EPOCH.run_id, func.count()).group_by(_EPOCH.run_id)
            epochs = {number: int(count) for number, count in session.execute(counts)}
            every = list(rows.rows(select(*columns).order_by(_RUN.id)))
            of_runs, _ = self._weights(session, rows, {number for number, *_ in every}, {}, examined=False)
            found = []
            for number, dataset_id, *values in every:
                dataset, checkpoints = dataset_record(datasets.get(dataset_id), "runs", number), tuple(of_runs[number])
                known = dict(zip(_STANDING, values[len(_OWN) :], strict=True))
                standing = RunStanding(id=number, dataset=dataset, checkpoints=checkpoints, **known)
                own = dict(zip(_OWN, values[: len(_OWN)], strict=True))
                found.append(ListedRun(id=number, standing=standing, epochs=epochs.get(number, 0), **own))
        return found
