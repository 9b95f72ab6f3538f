"""What the store returns: frozen dataclasses that need no database session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness.errors import StoreError
from harness.events import EpochRecord, Finding, Histogram, Part
from harness.plugin.images import Images
from harness.protocols.run_spec import RunSpec
from harness.statistics import attack_gaps
from harness.statistics.attack_gaps import NetworkGaps
from harness.store.earlier import Earlier
from harness.store.scope import Scope, newest_examinations

SPEC_FIELDS = ("method", "method_settings", "network", "network_settings", "training", "train_seed", "code")
"""The fields of a ``RunSpec`` that a run's row has under the same names and in the same form."""


@dataclass(frozen=True)
class DatasetRecord:
    """A data set's name, fingerprint, and sizes."""

    name: str
    fingerprint: str
    train_examples: int
    test_examples: int
    channels: int
    height: int
    width: int
    classes: int
    class_names: tuple[str, ...] | None = None  # None where an older version of harness stored the data set


@dataclass(frozen=True)
class EvaluationRecord:
    """One attack with one seed on a checkpoint; it may be incomplete."""

    id: int
    attack: str
    settings: dict[str, Any]
    settings_sha256: str
    seed: int
    examples: int  # test images to attack
    done: int  # test images attacked so far
    correct: int
    blocks: tuple[tuple[int, int], ...]  # first example and number of examples, in order
    duration_s: float
    warnings: tuple[str, ...]
    provenance: dict[str, Any]
    created_utc: datetime | None = None
    sample: str = "first"  # in the data set's order; or ``balanced`` over the classes
    attempt: int = 1  # one more for each repetition with ``--fresh``
    damage: str | None = None  # why its counts cannot be believed; no figure is made of it

    @property
    def images(self) -> Images:
        """Which test images are attacked."""
        return Images(self.examples, self.sample)

    @property
    def complete(self) -> bool:
        """Whether every example has its verdict.

        Raises:
            StoreError: the counts are damaged. Asked here, since every figure asks first whether it is complete.
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


@dataclass(frozen=True)
class ExaminationRecord:
    """The findings of the checks of rigour on a checkpoint; ``settings`` say what was examined."""

    settings: dict[str, Any]
    created_utc: datetime
    duration_s: float
    provenance: dict[str, Any]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class CheckpointRecord:
    """One set of weights with its evaluations and examinations; ``epoch`` is None for a model from elsewhere."""

    id: int
    name: str
    epoch: int | None
    sha256: str
    evaluations: tuple[EvaluationRecord, ...]  # of each the newest complete attempt; if none is, the newest
    examinations: tuple[ExaminationRecord, ...] = ()
    begun: tuple[EvaluationRecord, ...] = ()  # attempts newer than these, which are not complete

    def findings(self, scope: Scope) -> tuple[Finding, ...]:
        """The findings under that scope: of each kind of examination the newest, made by any version of the checks."""
        newest = newest_examinations(self.examinations, scope)
        return tuple(finding for examination in newest for finding in examination.findings)

    def raised(self, scope: Scope) -> tuple[Finding, ...] | None:
        """The flagged findings under that scope; None where there are no findings at all."""
        found = self.findings(scope)
        return tuple(finding for finding in found if finding.status == "flagged") if found else None

    def gaps(self, scope: Scope) -> NetworkGaps | None:
        """What the check ``autoattack-gap`` measured under that scope; None where it measured nothing.

        Raises:
            ValueError: what is stored of it cannot be read.
        """
        kept = [finding for finding in self.findings(scope) if finding.check == attack_gaps.CHECK]
        return NetworkGaps.of_finding(kept[0].reason, kept[0].details) if kept else None

    def checks(self, scope: Scope) -> list[str]:
        """What was checked under that scope, in the order of the findings."""
        return [finding.check for finding in self.findings(scope)]

    def examined(self, scope: Scope) -> tuple[tuple[Finding, ...], tuple[frozenset[str], ...]] | None:
        """The flagged findings under that scope, and what was checked; None where there are no findings at all."""
        raised = self.raised(scope)
        return None if raised is None else (raised, (frozenset(self.checks(scope)),))


@dataclass(frozen=True)
class RunRecord:
    """One run with its epochs and checkpoints."""

    id: int
    identity: str
    attempt: int
    method: str
    method_settings: dict[str, Any]
    method_departures: dict[str, Any]
    wrappers: list[dict[str, Any]]
    network: str
    network_settings: dict[str, Any]
    network_departures: dict[str, Any]
    dataset: DatasetRecord
    training: dict[str, Any]
    training_sha256: str
    train_seed: int
    status: str
    failure: str | None
    folder: str
    parameters: int
    created_utc: datetime
    finished_utc: datetime | None
    provenance: dict[str, Any]
    epochs: tuple[EpochRecord, ...]
    checkpoints: tuple[CheckpointRecord, ...]
    code: dict[str, Any] = field(default_factory=dict)  # of plugins that do not ship, or changed: see ``RunSpec.code``
    note: str | None = None  # a person's remark; of no identity, as are the tags
    tags: tuple[str, ...] = ()
    earlier: tuple[Earlier, ...] = ()  # set where the attempts of an identity are gathered

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"run {self.id}"

    @property
    def spec(self) -> RunSpec:
        """The run's identity: its settings as they were when it began."""
        return RunSpec(
            **{name: getattr(self, name) for name in SPEC_FIELDS},
            dataset=self.dataset.name,
            dataset_fingerprint=self.dataset.fingerprint,
            wrappers=tuple(self.wrappers),
        )

    def checkpoint(self, name: str) -> CheckpointRecord | None:
        """The checkpoint of that name; None if the run has not reached it."""
        return next((c for c in self.checkpoints if c.name == name), None)


@dataclass(frozen=True)
class ModelRecord:
    """A model that harness did not train, evaluated on one data set.

    Attributes:
        probe: its logits and gradients on fixed images, which reveal that the same source and tensors compute another
            function; None in older rows.
    """

    id: int
    identity: str
    name: str
    network: str
    network_settings: dict[str, Any]
    network_departures: dict[str, Any]
    dataset: DatasetRecord
    parameters: int
    created_utc: datetime
    provenance: dict[str, Any]  # its origin, and the layers put around it; each evaluation has device and versions
    checkpoint: CheckpointRecord
    code: dict[str, Any] = field(default_factory=dict)  # file -> SHA-256 of the user's source; empty: a weights file
    probe: dict[str, Any] | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"model {self.name}"


@dataclass(frozen=True)
class ProtocolRecord:
    """A protocol that was used."""

    fingerprint: str
    name: str
    training_sha256: str
    attacks: dict[str, str]  # attack -> SHA-256 of its resolved settings, in the protocol's order
    document: dict[str, Any]

    @property
    def wrappers(self) -> dict[str, dict[str, Any]]:
        """The wrappers of every training under the protocol, with their resolved settings; the last is outermost."""
        found: dict[str, dict[str, Any]] = self.document.get("wrappers", {})
        return found

    def trains(self, training_sha256: str | None, wrappers: Iterable[Mapping[str, Any]]) -> bool:
        """Whether a run was trained under the protocol, whose wrappers are then the innermost of these."""
        innermost = zip(wrappers, self.wrappers, strict=False)
        found = [(wrapper["name"], wrapper["settings"]) for wrapper, _ in innermost]
        return training_sha256 == self.training_sha256 and found == list(self.wrappers.items())


@dataclass(frozen=True)
class EpochHistogram:
    """A histogram of one epoch of a training."""

    epoch: int
    histogram: Histogram


@dataclass(frozen=True)
class Curve:
    """Accuracies while a network was trained, under one attack, on a balanced sample of one part of its data.

    Attributes:
        settings: the attack's, as those of an evaluation.
        images: how many were attacked after each epoch.
        points: epoch, and how many of these images were right.
    """

    part: Part
    attack: str
    settings: dict[str, Any]
    settings_sha256: str
    images: int
    points: tuple[tuple[int, int], ...]

    def percent(self, correct: int) -> float:
        """A count of these images in percent."""
        return 100.0 * correct / self.images

    @property
    def last(self) -> tuple[int, int]:
        """The last point."""
        return self.points[-1]

    @property
    def best(self) -> tuple[int, int]:
        """The point with the most images right, of several the first."""
        return max(self.points, key=lambda point: point[1])

    @property
    def lost_points(self) -> float:
        """How far the last point lies below the best one, in percentage points."""
        return self.percent(self.best[1] - self.last[1])


@dataclass(frozen=True)
class AdversarialImage:
    """One of the first adversarial images of an evaluation.

    Attributes:
        place: among the evaluation's images, counted from 0.
        pixels: float32, little-endian, channel by channel, row by row; the shape is the data set's.
    """

    place: int
    pixels: bytes
