"""Events that a worker reports, whether it is this process or another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a training, as the store keeps it.

    Attributes:
        epoch: counted from 1.
        loss: mean over batches.
        images: images trained on in this epoch.
        diagnostics: name -> mean over batches of the values that the method logged.
    """

    epoch: int
    loss: float
    lr: float
    images: int
    duration_s: float
    diagnostics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingBegan:
    """A training begins, or goes on after a stop; ``provenance`` says where, as the worker knows it."""

    run_id: int
    provenance: dict[str, Any]


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is; reported at most twice a second."""

    label: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    images_per_s: float
    left_s: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch has ended and its resumable state is on the disk."""

    run_id: int
    label: str
    epochs: int
    record: EpochRecord


@dataclass(frozen=True)
class CheckpointDone:
    """A checkpoint is on the disk."""

    run_id: int
    name: str
    epoch: int
    sha256: str


@dataclass(frozen=True)
class BlockDone:
    """A block of examples has been attacked.

    Attributes:
        verdicts: one byte an example, 1 where the network was right under the attack.
        warnings: the messages of the attack's warnings.
        margins: ``p_y(x_adv) - max_{i != y} p_i(x_adv)`` of each example; None where they were not computed.
        provenance: where it was attacked, as the worker knows it.
    """

    evaluation_id: int
    start: int
    verdicts: bytes
    duration_s: float
    warnings: tuple[str, ...]
    margins: tuple[float, ...] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


Status = Literal["passed", "flagged", "not-applicable"]


@dataclass(frozen=True)
class Finding:
    """One check's result, in JSON types alone, since it goes to another process and into the store.

    Attributes:
        check: the check's name, such as ``zero-gradient``.
        mark: the check's character on the leaderboard; empty unless flagged.
        value: the measured number that is compared with the threshold; None where there is no single number.
        threshold: the largest value that passes; None where the check has no threshold.
        reason: one line: what was seen, and what it suggests.
        details: the data behind the value, such as the curve of a sweep.
    """

    check: str
    status: Status
    mark: str
    value: float | None
    threshold: float | None
    reason: str
    details: dict[str, Any]


@dataclass(frozen=True)
class Examined:
    """The checks of rigour on a model are done; ``provenance`` says where, as the process knows that made them."""

    checkpoint_id: int
    label: str
    settings: dict[str, Any]
    findings: tuple[Finding, ...]
    duration_s: float
    provenance: dict[str, Any]


@dataclass(frozen=True)
class EvaluationProgress:
    """How far the evaluations of a command are; the conductor reports it after each block."""

    label: str
    checkpoint: str
    attack: str
    seed: int
    done: int
    blocks: int
    left_s: float


@dataclass(frozen=True)
class Logged:
    """A log record that was written to the run's log; ``text`` includes the traceback, if any."""

    text: str


@dataclass(frozen=True)
class Noted:
    """A remark for the user."""

    text: str


Event = (
    TrainingBegan
    | TrainingProgress
    | EpochDone
    | CheckpointDone
    | BlockDone
    | Examined
    | EvaluationProgress
    | Logged
    | Noted
)
Report = Callable[[Event], None]
