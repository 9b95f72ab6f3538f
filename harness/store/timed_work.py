"""The query for what stored work took: the seconds of trainings and of attacks, from which costs are estimated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from harness.runtime.collector import collector_paused
from harness.store.lookups import Lookups
from harness.store.queries import dataset_record
from harness.store.recorded import IDS_A_QUERY
from harness.store.records import DatasetRecord
from harness.store.schema import METADATA, DatasetRow
from harness.store.typed_columns import TypedColumns

_TABLES = METADATA.tables
_RUN, _CHECKPOINT, _EVALUATION = _TABLES["runs"].c, _TABLES["checkpoints"].c, _TABLES["evaluations"].c
_BLOCK, _EPOCH = _TABLES["blocks"].c, _TABLES["epochs"].c
_OF_RUN = ("method", "method_settings", "wrappers", "network", "network_settings", "training", "provenance")


@dataclass(frozen=True, slots=True)
class TimedAttack:
    """What an evaluation took; see ``EvaluationRecord``."""

    settings_sha256: str
    provenance: dict[str, Any]
    done: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class TimedRun:
    """What a run took; see ``RunRecord``.

    Attributes:
        trained: how many epochs; the sums over these of their images and seconds.
        attacks: on its checkpoints; of each repeated evaluation the attempt that counts alone.
    """

    method: str
    method_settings: dict[str, Any]
    wrappers: list[dict[str, Any]]
    network: str
    network_settings: dict[str, Any]
    training: dict[str, Any]
    provenance: dict[str, Any]
    dataset: DatasetRecord
    trained: tuple[int, int, float]
    attacks: tuple[TimedAttack, ...]


class TimedWork(Lookups):
    """The base of ``Store``: its query for times."""

    def timed_runs(self, networks: Collection[str], here: Callable[[Mapping[str, Any]], bool]) -> list[TimedRun]:
        """The runs of these networks, in the order of their numbers, with the times of what was done here.

        Args:
            here: whether work of this provenance counts. Of other trainings and attacks nothing is read.
        """
        every = select(_RUN.id, _RUN.dataset_id, *(_RUN[name] for name in _OF_RUN)).order_by(_RUN.id)
        with collector_paused(), self._reading() as session:
            rows, place = TypedColumns(session), _Place(here)
            datasets = {row.id: row for row in session.scalars(select(DatasetRow))}
            runs = list(rows.rows(every.where(_RUN.network.in_(networks))))
            trained = _trainings(rows, [number for number, *_, provenance in runs if place.takes(provenance)])
            attacks = _attacks(rows, [number for number, *_ in runs], place)
            found = []
            for number, dataset_id, *values in runs:
                own = dict(zip(_OF_RUN, values, strict=True))
                dataset = dataset_record(datasets.get(dataset_id), "runs", number)
                times = trained.get(number, (0, 0, 0.0))
                found.append(TimedRun(**own, dataset=dataset, trained=times, attacks=tuple(attacks[number])))
        return found


class _Place:
    """Asks once of each provenance document whether it counts: equal documents are one object."""

    def __init__(self, here: Callable[[Mapping[str, Any]], bool]) -> None:
        self._here, self._known = here, dict[int, tuple[Mapping[str, Any], bool]]()

    def takes(self, provenance: Mapping[str, Any]) -> bool:
        if id(provenance) not in self._known:
            self._known[id(provenance)] = provenance, self._here(provenance)  # which keeps the object, and so its id
        return self._known[id(provenance)][1]


def _trainings(rows: TypedColumns, numbers: Sequence[int]) -> dict[int, tuple[int, int, float]]:
    """For each of these runs with epochs: how many, and the sums of their images and seconds."""
    found: dict[int, tuple[int, int, float]] = {}
    for first in range(0, len(numbers), IDS_A_QUERY):
        epochs = select(_EPOCH.run_id, _EPOCH.images, _EPOCH.duration_s)
        some = epochs.where(_EPOCH.run_id.in_(numbers[first : first + IDS_A_QUERY]))
        for number, images, duration_s in rows.rows(some.order_by(_EPOCH.run_id, _EPOCH.epoch)):
            before = found.get(number, (0, 0, 0))
            found[number] = before[0] + 1, before[1] + images, before[2] + duration_s
    return found


def _attacks(rows: TypedColumns, numbers: Sequence[int], place: _Place) -> dict[int, list[TimedAttack]]:
    """For each of these runs what the attacks on its checkpoints took, in the order of checkpoints and attacks."""
    identifying = ("settings_sha256", "attack", "seed", "examples", "sample")
    columns = (_EVALUATION.id, _EVALUATION.provenance, _EVALUATION.attempt, _CHECKPOINT.id, _CHECKPOINT.run_id)
    every = select(*columns, *(_EVALUATION[name] for name in identifying))
    every = every.join(_TABLES["checkpoints"], _CHECKPOINT.id == _EVALUATION.checkpoint_id)
    order = (_CHECKPOINT.run_id, _CHECKPOINT.epoch, _CHECKPOINT.name, _EVALUATION.id)
    newest: dict[tuple[Any, ...], tuple[int, int, dict[str, Any]]] = {}
    for first in range(0, len(numbers), IDS_A_QUERY):
        some = every.where(_CHECKPOINT.run_id.in_(numbers[first : first + IDS_A_QUERY]))
        for number, provenance, attempt, checkpoint, run, *key in rows.rows(some.order_by(*order)):
            known = newest.get((run, checkpoint, *key))
            if known is None or known[0] <= attempt:
                newest.pop((run, checkpoint, *key), None)  # so that it comes in at its own place
                newest[run, checkpoint, *key] = attempt, number, provenance
    kept = [(key[0], key[2], *values[1:]) for key, values in newest.items() if place.takes(values[2])]
    spent = _blocks(rows, sorted(number for _, _, number, _ in kept))
    found: dict[int, list[TimedAttack]] = defaultdict(list)
    for run, settings, number, provenance in kept:
        found[run].append(TimedAttack(settings, provenance, *spent.get(number, (0, 0))))
    return found


def _blocks(rows: TypedColumns, numbers: Sequence[int]) -> dict[int, tuple[int, float]]:
    """For each of these evaluations with blocks: images done, and seconds."""
    found: dict[int, tuple[int, float]] = {}
    for first in range(0, len(numbers), IDS_A_QUERY):
        blocks = select(_BLOCK.evaluation_id, _BLOCK.examples, _BLOCK.duration_s)
        some = blocks.where(_BLOCK.evaluation_id.in_(numbers[first : first + IDS_A_QUERY]))
        for number, examples, duration_s in rows.rows(some.order_by(_BLOCK.evaluation_id, _BLOCK.start)):
            done, seconds = found.get(number, (0, 0))
            found[number] = done + examples, seconds + duration_s
    return found
