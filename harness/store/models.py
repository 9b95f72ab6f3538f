"""Writing models from elsewhere into the store."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from harness.errors import StoreError
from harness.identity import digest
from harness.store.connecting import writing_on
from harness.store.queries import model_record
from harness.store.records import DatasetRecord, ModelRecord
from harness.store.schema import METADATA, CheckpointRow, DatasetRow, ModelRow
from harness.store.timed_work import TimedWork
from harness.store.typed import naming_rows


def now() -> datetime:
    """The current time as the store keeps it: UTC, without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def model_identity(sha256: str, dataset_fingerprint: str, function: int = 1) -> str:
    """The identity of a model from elsewhere; for ``function`` see ``see_model``: the first, 1, enters no hash."""
    document: dict[str, Any] = {"sha256": sha256, "dataset": dataset_fingerprint}
    return digest(document if function == 1 else document | {"function": function})


def free_name(session: Session, name: str, dataset_id: int, identity: str = "") -> str:
    """The name, or ``name (2)`` and so on, if another model than that of the identity has it on the data set."""
    others = select(ModelRow.name).where(ModelRow.dataset_id == dataset_id, ModelRow.identity != identity)
    taken = set(session.scalars(others))
    numbered = (f"{name} ({number})" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)


class ModelWriter(TimedWork):
    """The base of ``Store``: its write transaction, and the writing of models from elsewhere and of data sets."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._writers = sessionmaker(writing_on(engine))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Session]:
        """A transaction that writes; what it reads has the types that the schema says."""
        with self._writers.begin() as session, naming_rows(session, METADATA.tables):
            yield session

    def see_model(
        self,
        name: str,
        dataset: DatasetRecord,
        *,
        sha256: str,
        network: str,
        network_settings: dict[str, Any],
        network_departures: dict[str, Any],
        parameters: int,
        provenance: dict[str, Any],
        rename: bool = True,
        function: int = 1,
        code: Mapping[str, Any] | None = None,
        probe: Mapping[str, Any] | None = None,
    ) -> ModelRecord:
        """Return the model from elsewhere with these weights on this data set; add it if the store lacks it.

        Args:
            rename: True where the user asked for the name: a stored model is renamed, and a name that is taken is
                refused. False: a stored model keeps its name, and a new one becomes ``name (2)`` if the name is taken.
            function: the same weights and source can compute different functions, as with a number read from a file;
                this counts them, from 1.
            code, probe: see ``ModelRecord``; a stored model without a probe takes this one.
        Raises:
            StoreError: another model on this data set has the name that the user asked for.
        """
        identity = model_identity(sha256, dataset.fingerprint, function)
        with self._writing() as session:
            data = self._dataset(session, dataset)
            session.add(data)
            session.flush()
            row = session.scalar(select(ModelRow).where(ModelRow.identity == identity))
            if row is not None and row.probe is None and probe is not None:
                row.probe = dict(probe)
            if row is not None and not rename:
                return model_record(row)
            free = free_name(session, name, data.id, identity)
            if free != name and rename:
                raise StoreError(f"another model on {dataset.name} is called {name!r}; give this one another --name")
            name = free
            if row is None:
                row = ModelRow(
                    identity=identity,
                    name=name,
                    network=network,
                    network_settings=network_settings,
                    network_departures=network_departures,
                    dataset=data,
                    parameters=parameters,
                    created_utc=now(),
                    provenance=provenance,
                    checkpoint=CheckpointRow(name="given", epoch=None, sha256=sha256),
                    code=dict(code or {}),
                    probe=None if probe is None else dict(probe),
                    tags=[],
                )
                session.add(row)
            row.name = name
            session.flush()
            return model_record(row)

    @staticmethod
    def _dataset(session: Session, dataset: DatasetRecord) -> DatasetRow:
        """The data set's row, added if missing; a row of an older version is given the names of its classes."""
        names = None if dataset.class_names is None else list(dataset.class_names)
        row = session.scalar(select(DatasetRow).where(DatasetRow.fingerprint == dataset.fingerprint))
        if row is None:
            return DatasetRow(**dataclasses.asdict(dataset) | {"class_names": names})
        row.class_names = row.class_names or names
        return row
