"""What the store gives back: frozen dataclasses, free of sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness.events import EpochRecord, Finding
from harness.plugin.images import Images
from harness.protocols.run_spec import RunSpec
from harness.store.scope import EXAMINATION_KINDS, Scope


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
    class_names: tuple[str, ...] | None = None  # None where an older version entered it


@dataclass(frozen=True)
class EvaluationRecord:
    """One attack with one seed, as far as its blocks are done.

    Attributes:
        sample: which test images: ``first``, in the data set's order, or ``balanced`` over the classes.
        attempt: 1, and one more for each time that it was begun again with ``--fresh``.
    """

    id: int
    attack: str
    settings: dict[str, Any]
    settings_sha256: str
    seed: int
    examples: int
    done: int
    correct: int
    blocks: tuple[tuple[int, int], ...]  # first example and number of examples, in order
    duration_s: float
    warnings: tuple[str, ...]
    provenance: dict[str, Any]
    created_utc: datetime | None = None
    sample: str = "first"
    attempt: int = 1

    @property
    def images(self) -> Images:
        """Which test images it took."""
        return Images(self.examples, self.sample)

    @property
    def complete(self) -> bool:
        """Whether every example has its verdict."""
        return self.done == self.examples

    @property
    def percent(self) -> float:
        """The accuracy in percent."""
        return 100.0 * self.correct / self.done


@dataclass(frozen=True)
class ExaminationRecord:
    """The checks of rigour on some weights; the settings say what was examined."""

    settings: dict[str, Any]
    created_utc: datetime
    duration_s: float
    provenance: dict[str, Any]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class CheckpointRecord:
    """Weights, and what they went through; ``epoch`` is None for a model from elsewhere.

    Attributes:
        evaluations: of those that were repeated, the newest attempt.
    """

    id: int
    name: str
    epoch: int | None
    sha256: str
    evaluations: tuple[EvaluationRecord, ...]
    examinations: tuple[ExaminationRecord, ...] = ()

    def findings(self, scope: Scope) -> tuple[Finding, ...]:
        """What was found under that evaluation; of each kind of examination the newest, whatever its edition."""
        found: tuple[Finding, ...] = ()
        for kind in EXAMINATION_KINDS:
            wanted = scope.settings(kind)
            alike = [e for e in self.examinations if all(e.settings.get(key) == v for key, v in wanted.items())]
            newest = sorted(alike, key=lambda e: e.created_utc)[-1:]
            found += tuple(finding for examination in newest for finding in examination.findings)
        return found


@dataclass(frozen=True)
class RunRecord:
    """One run, whole.

    Attributes:
        code: what of its plugins does not ship, or has changed since it shipped; see ``RunSpec.code``.
    """

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
    code: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> RunSpec:
        """What identifies it: its settings as they were when it began."""
        fields = ("method", "method_settings", "network", "network_settings", "training", "train_seed", "code")
        return RunSpec(
            **{name: getattr(self, name) for name in fields},
            dataset=self.dataset.name,
            dataset_fingerprint=self.dataset.fingerprint,
            wrappers=tuple(self.wrappers),
        )

    def checkpoint(self, name: str) -> CheckpointRecord | None:
        """The checkpoint of that name, if the run has come to it."""
        return next((c for c in self.checkpoints if c.name == name), None)


@dataclass(frozen=True)
class ModelRecord:
    """A model that harness did not train, as it stands on one data set.

    Attributes:
        provenance: where it came from, and what was put around it; device and versions are its evaluations'.
        code: file name -> SHA-256 of the user's source; empty for a weights file.
        probe: its logits on fixed images, which tell it from another function of the same source; None in older rows.
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
    provenance: dict[str, Any]
    checkpoint: CheckpointRecord
    code: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] | None = None


@dataclass(frozen=True)
class ProtocolRecord:
    """A protocol under which something was run."""

    fingerprint: str
    name: str
    training_sha256: str
    attacks: dict[str, str]  # attack -> SHA-256 of its resolved settings, in the protocol's order
    document: dict[str, Any]
