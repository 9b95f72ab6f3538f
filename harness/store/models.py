"""Models from elsewhere, entered into the store."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from harness.errors import StoreError
from harness.identity import digest
from harness.store.queries import Queries
from harness.store.read import model_record
from harness.store.records import DatasetRecord, ModelRecord
from harness.store.schema import CheckpointRow, DatasetRow, ModelRow


def now() -> datetime:
    """The time as the store keeps it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def model_identity(sha256: str, dataset_fingerprint: str, function: int = 1) -> str:
    """The identity of a model from elsewhere; the number is named only where its weights have several functions."""
    document: dict[str, Any] = {"sha256": sha256, "dataset": dataset_fingerprint}
    return digest(document if function == 1 else document | {"function": function})


def _numbered(name: str) -> Iterator[str]:
    """The name, then ``name (2)``, ``name (3)``, ..."""
    yield name
    yield from (f"{name} ({number})" for number in itertools.count(2))


class ModelWriter(Queries):
    """The part of the store's writing half that models from elsewhere need, and what all of it stands on."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._writer = engine.execution_options(harness_begin="IMMEDIATE")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Session]:
        with Session(self._writer) as session, session.begin():
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
        """The model from elsewhere with these weights on this data set; made if it is not there, called ``name``.

        Args:
            rename: whether the name was asked for. Then one that is there takes it, and it must be free; else one that
                is there keeps its own, and a new one gets a number where the name is taken.
            function: which one, of the functions of these weights that the store tells apart; counted from 1.
            code, probe: see ``ModelRecord``; a model that is there and has no probe yet takes this one.
        Raises:
            StoreError: another model on this data set has the name that was asked for.
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
            others = select(ModelRow.name).where(ModelRow.dataset_id == data.id, ModelRow.identity != identity)
            taken = set(session.scalars(others))
            if name in taken and rename:
                raise StoreError(f"another model on {dataset.name} is called {name!r}; give this one another --name")
            name = next(free for free in _numbered(name) if free not in taken)
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
                )
                session.add(row)
            row.name = name
            session.flush()
            return model_record(row)

    @staticmethod
    def _dataset(session: Session, dataset: DatasetRecord) -> DatasetRow:
        """The data set's row, made if it is not there; an older one learns the names of its classes."""
        names = None if dataset.class_names is None else list(dataset.class_names)
        row = session.scalar(select(DatasetRow).where(DatasetRow.fingerprint == dataset.fingerprint))
        if row is None:
            return DatasetRow(**dataclasses.asdict(dataset) | {"class_names": names})
        row.class_names = row.class_names or names
        return row
