"""What a worker reports while it works; the same whether it is this process or another."""

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
        diagnostics: means over batches of what the method logged.
    """

    epoch: int
    loss: float
    lr: float
    images: int
    duration_s: float
    diagnostics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training is, a few times a second at most."""

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
        warnings: what the attack warned of.
        margins: ``p_y(x_adv) - max_{i != y} p_i(x_adv)`` of each example; None where they were not kept.
    """

    evaluation_id: int
    start: int
    verdicts: bytes
    duration_s: float
    warnings: tuple[str, ...]
    margins: tuple[float, ...] | None = None


Status = Literal["passed", "flagged", "not-applicable"]


@dataclass(frozen=True)
class Finding:
    """One check's result, in JSON types alone: it crosses processes and is stored.

    Attributes:
        check: the check's name, such as ``zero-gradient``.
        mark: one character for the board, the check's own; empty unless flagged.
        value: what was measured and compared with the threshold; None where that is not one number.
        threshold: what the value may not exceed; None where the check has no number.
        reason: one line: what was seen, and what it suggests.
        details: what the value came from, such as the curve of a sweep.
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
    """The checks of rigour on a model are done."""

    checkpoint_id: int
    label: str
    settings: dict[str, Any]
    findings: tuple[Finding, ...]
    duration_s: float


@dataclass(frozen=True)
class EvaluationProgress:
    """How far the evaluations of a command are; told by the conductor after each block."""

    label: str
    checkpoint: str
    attack: str
    seed: int
    done: int
    blocks: int
    left_s: float


@dataclass(frozen=True)
class Logged:
    """A record that has gone to a run's log, with its traceback if it has one."""

    text: str


@dataclass(frozen=True)
class Noted:
    """Something that the user should know."""

    text: str


Event = TrainingProgress | EpochDone | CheckpointDone | BlockDone | Examined | EvaluationProgress | Logged | Noted
Report = Callable[[Event], None]
