"""What the leaderboard needs of runs and models: less than their records, so that ten thousand runs are soon read.

Each class has the fields of its record, under the same names and with the same values, that figures and rows are made
of. Times, blocks, warnings, provenance, and epochs are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from harness.errors import StoreError
from harness.plugin.images import Images
from harness.statistics.attack_gaps import NetworkGaps
from harness.store.earlier import Earlier
from harness.store.records import CheckpointRecord, DatasetRecord, EvaluationRecord
from harness.store.scope import Scope, newest_examinations


class EvaluationStanding(NamedTuple):
    """What an evaluation came to; see ``EvaluationRecord``. A tuple: a hundred thousand are made at once.

    Attributes:
        bits: the verdicts, a bit an image, the first image most significant; those of a complete and undamaged
            evaluation.
    """

    id: int
    attack: str
    settings: dict[str, Any]
    settings_sha256: str
    seed: int
    examples: int
    sample: str
    done: int
    correct: int
    damage: str | None
    bits: int

    @property
    def images(self) -> Images:
        """Which test images are attacked."""
        return Images(self.examples, self.sample)

    @property
    def complete(self) -> bool:
        """Whether every example has its verdict.

        Raises:
            StoreError: the counts are damaged.
        """
        if self.damage is not None:
            raise StoreError(self.damage)
        return self.done == self.examples

    @property
    def percent(self) -> float:
        """The accuracy on the images done so far, in percent.

        Raises:
            StoreError: the counts are damaged.
        """
        if self.damage is not None:
            raise StoreError(self.damage)
        return 100.0 * self.correct / self.done


Evaluated = EvaluationRecord | EvaluationStanding


@dataclass(frozen=True, slots=True)
class RaisedFlag:
    """A finding that is flagged; see ``Finding``."""

    check: str
    mark: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExaminationStanding:
    """An examination; see ``ExaminationRecord``.

    Attributes:
        raised: its flagged findings; None where it has no finding at all.
        checks: the names of its findings, whatever they found.
        gap: reason and details of its finding of the check ``autoattack-gap``; None where it has none.
    """

    id: int
    settings: dict[str, Any]
    created_utc: datetime
    raised: tuple[RaisedFlag, ...] | None
    checks: frozenset[str]
    gap: tuple[str, dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class CheckpointStanding:
    """A checkpoint; see ``CheckpointRecord``.

    Attributes:
        checks_of: what some examinations of its store, given by their numbers, checked: the names in their order.
    """

    id: int
    name: str
    epoch: int | None
    sha256: str
    evaluations: tuple[EvaluationStanding, ...]
    examinations: tuple[ExaminationStanding, ...]
    checks_of: Callable[[Collection[int]], dict[int, list[str]]] = field(compare=False, repr=False)

    def raised(self, scope: Scope) -> tuple[RaisedFlag, ...] | None:
        """The flagged findings under that scope; None where there are no findings at all."""
        found = self.examined(scope)
        return None if found is None else found[0]

    def examined(self, scope: Scope) -> tuple[tuple[RaisedFlag, ...], tuple[frozenset[str], ...]] | None:
        """The same, and the checks of each examination."""
        found = [e for e in newest_examinations(self.examinations, scope) if e.raised is not None]
        flags = tuple(flag for examined in found for flag in examined.raised or ())
        return (flags, tuple(examined.checks for examined in found)) if found else None

    def gaps(self, scope: Scope) -> NetworkGaps | None:
        """What the check ``autoattack-gap`` measured under that scope; None where it measured nothing.

        Raises:
            ValueError: what is stored of it cannot be read.
        """
        kept = [e.gap for e in newest_examinations(self.examinations, scope) if e.gap is not None]
        return NetworkGaps.of_finding(*kept[0]) if kept else None


@dataclass(frozen=True, slots=True)
class RunStanding:
    """A run that is done, and newer than every other attempt of its identity that is done; see ``RunRecord``."""

    id: int
    method: str
    method_settings: dict[str, Any]
    method_departures: dict[str, Any]
    wrappers: list[dict[str, Any]]
    network: str
    network_settings: dict[str, Any]
    network_departures: dict[str, Any]
    dataset: DatasetRecord
    training_sha256: str
    train_seed: int
    code: dict[str, Any]
    checkpoints: tuple[CheckpointStanding, ...]
    earlier: tuple[Earlier, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """A model from elsewhere; see ``ModelRecord``."""

    id: int
    identity: str
    name: str
    network: str
    network_departures: dict[str, Any]
    dataset: DatasetRecord
    checkpoint: CheckpointStanding


def checks_under(checkpoints: Sequence[CheckpointRecord | CheckpointStanding], scope: Scope) -> list[list[str]]:
    """What was checked on each checkpoint under that scope, in the order of the findings; all are of one store.

    The store is asked once, however many checkpoints there are.
    """
    newest = [
        newest_examinations(held.examinations, scope) if isinstance(held, CheckpointStanding) else []
        for held in checkpoints
    ]
    numbers = [examined.id for of_one in newest for examined in of_one]
    asked = next((held.checks_of for held in checkpoints if isinstance(held, CheckpointStanding)), None)
    names = asked(numbers) if asked is not None else {}
    return [
        [name for examined in of_one for name in names[examined.id]]
        if isinstance(held, CheckpointStanding)
        else held.checks(scope)
        for held, of_one in zip(checkpoints, newest, strict=True)
    ]
