"""Events that a worker reports, whether it is this process or another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


class Event:
    """The base of all that a worker reports."""


Report = Callable[[Event], None]


@dataclass(frozen=True)
class Histogram:
    """How often each value of a quantity of single images was seen in an epoch.

    Attributes:
        low, high: the range, cut into bins of equal width. A bin holds its lower edge; the last one holds both.
        counts: values in each bin; the first bin has the values below the range, too, and the last those above it.
    """

    name: str
    low: float
    high: float
    counts: tuple[int, ...]


Part = Literal["test", "train"]

VALIDATION_NATURAL, VALIDATION_ROBUST = "validation_natural_percent", "validation_robust_percent"
"""Diagnostics of an epoch whose training holds images out: the accuracy on these images, clean and under attack."""


@dataclass(frozen=True)
class CurvePoint:
    """The accuracy after an epoch under one attack, on a fixed sample of the test images or the training images.

    Attributes:
        settings: the attack's, as those of an evaluation.
        images: how many were attacked.
        correct: how many of them the network got right.
    """

    part: Part
    attack: str
    settings: dict[str, Any]
    images: int
    correct: int
    duration_s: float


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a training.

    Attributes:
        epoch: counted from 1.
        loss: mean over batches.
        lr: of its last update.
        images: trained on in this epoch.
        diagnostics: what the method logged: name -> mean over batches.
        histograms: what the method counted image by image. The store reads them by a query of their own, as the curve.
        curve: accuracies after the epoch; empty after most epochs.
    """

    epoch: int
    loss: float
    lr: float
    images: int
    duration_s: float
    diagnostics: dict[str, float] = field(default_factory=dict)
    histograms: tuple[Histogram, ...] = ()
    curve: tuple[CurvePoint, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> EpochRecord:
        """The record whose ``dataclasses.asdict`` this is; an older one lacks histograms and curve."""
        parts = {"histograms": Histogram, "curve": CurvePoint}
        made = {name: tuple(kind(**part) for part in document.get(name, ())) for name, kind in parts.items()}
        return cls(**{**document, **made})


@dataclass(frozen=True, slots=True)  # a hundred thousand of them may be planned
class PlannedItem:
    """One item of work, as a progress display knows it.

    Attributes:
        key: names the item in ``Began`` and ``Ended``.
        what: the part of the work: ``training``, ``checks``, or an attack with its seed.
        label: the model's.
        alike: equal for items that take equally long for an image.
        images: how many, counted once for each epoch of a training.
        passes: through the network; of an attack, the most that it takes.
        seconds: as this machine timed such work before; None: never.
    """

    key: str
    what: str
    label: str
    alike: str
    images: int
    passes: float
    seconds: float | None = None


@dataclass(frozen=True)
class Phase:
    """Items that so many workers take in this order, before the next phase begins."""

    items: tuple[PlannedItem, ...]
    workers: int


@dataclass(frozen=True)
class Planned(Event):
    """What is left to do, in the order of its phases; it replaces an earlier plan."""

    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class Replanned(Event):
    """Items of the last phase, given by key, are replaced by others: a network is trained, and it has attacks now."""

    keys: tuple[str, ...]
    items: tuple[PlannedItem, ...]


@dataclass(frozen=True)
class Began(Event):
    """A worker has taken an item of work."""

    key: str


@dataclass(frozen=True)
class Ended(Event):
    """An item of work is done, or has failed; ``seconds`` is what the worker measured, None: nothing.

    A trial that is pruned is not ``whole``: its time says nothing of others.
    """

    key: str
    seconds: float | None = None
    failed: bool = False
    reason: str | None = None  # of a failure
    whole: bool = True


@dataclass(frozen=True)
class TrainingBegan(Event):
    """A training begins, or goes on after a stop; ``provenance`` says where, as the worker knows it."""

    run_id: int
    provenance: dict[str, Any]


@dataclass(frozen=True)
class TrainingProgress(Event):
    """How far a training is; reported at most twice a second."""

    run_id: int
    label: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    images_per_s: float
    left_s: float


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch has ended and its resumable state is on the disk."""

    run_id: int
    label: str
    epochs: int
    record: EpochRecord


@dataclass(frozen=True)
class CheckpointDone(Event):
    """A checkpoint is on the disk."""

    run_id: int
    name: str
    epoch: int
    sha256: str


@dataclass(frozen=True)
class BlockDone(Event):
    """A block of examples has been attacked; ``provenance`` says where, as the worker knows it."""

    evaluation_id: int
    start: int
    verdicts: bytes  # one byte an example: 1 where the network was right under the attack
    duration_s: float
    warnings: tuple[str, ...]  # of the attack
    margins: tuple[float, ...] | None = None  # ``p_y(x_adv) - max_{i != y} p_i(x_adv)``; None: not computed
    provenance: dict[str, Any] = field(default_factory=dict)
    predicted: tuple[int, ...] | None = None  # the class predicted for x_adv; -1: none, the logits are not finite
    adversarial: tuple[bytes, ...] = ()  # the block's first x_adv, to look at: float32, little-endian, row by row


Status = Literal["passed", "flagged", "not-applicable"]


@dataclass(frozen=True)
class Finding:
    """One check's result, in JSON types alone, since it goes to another process and into the store."""

    check: str  # its name, such as ``zero-gradient``
    status: Status
    mark: str  # the check's character on the leaderboard; empty unless flagged
    value: float | None  # measured, and compared with the threshold; None where there is no single number
    threshold: float | None  # the largest value that passes; None where the check has none
    reason: str  # one line: what was seen, and what it suggests
    details: dict[str, Any]  # the data behind the value, such as the curve of a sweep


@dataclass(frozen=True)
class Examined(Event):
    """The checks of rigour on a model are done; ``provenance`` says where, as the process knows that made them."""

    checkpoint_id: int
    label: str
    settings: dict[str, Any]
    findings: tuple[Finding, ...]
    duration_s: float
    provenance: dict[str, Any]


@dataclass(frozen=True)
class EvaluationProgress(Event):
    """How far the evaluations of a command are; the conductor reports it after each block."""

    label: str
    checkpoint: str
    attack: str
    seed: int
    done: int
    blocks: int


@dataclass(frozen=True)
class Logged(Event):
    """A log record that was written to the run's log; ``text`` includes the traceback, if any."""

    text: str


@dataclass(frozen=True)
class Noted(Event):
    """A remark for the user."""

    text: str


def training_key(run_id: int) -> str:
    """The key of a training."""
    return f"training of run {run_id}"


def checks_key(checkpoint_id: int, settings: Mapping[str, Any]) -> str:
    """The key of the checks of rigour on a checkpoint, under these settings."""
    return f"checks of {checkpoint_id} in {settings.get('norm')} {settings.get('epsilon')}"


def block_key(evaluation_id: int, start: int) -> str:
    """The key of a block of an evaluation, which begins at that image."""
    return f"evaluation {evaluation_id}, image {start}"


_BLOCK, _CHECKS = re.compile(r"evaluation (\d{1,18}), image \d{1,18}"), re.compile(r"checks of (\d{1,18}) in .*")


def evaluation_in(key: str) -> int | None:
    """The number of the evaluation in the key of a block; None for another key."""
    found = _BLOCK.fullmatch(key)
    return int(found[1]) if found else None


def checkpoint_in(key: str) -> int | None:
    """The number of the checkpoint in the key of checks of rigour; None for another key."""
    found = _CHECKS.fullmatch(key)
    return int(found[1]) if found else None
