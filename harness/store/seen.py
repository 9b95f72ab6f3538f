"""What somebody sees who watches the store while others work: totals, each item at work, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from harness.runtime.worker import Worker
from harness.store.leases import Held
from harness.store.run_state import RunState, State

STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs are watched, and which models from elsewhere. None: all.

    Attributes:
        method: of a run; the name of a model.
        protocol: its name, or its fingerprint's beginning. No model from elsewhere was trained under one.
        state: as ``RunState`` has it. No model from elsewhere has one.
        since: when the run began, or the model came, at the earliest; UTC, without a time zone.
    """

    dataset: str | None = None
    network: str | None = None
    method: str | None = None
    protocol: str | None = None
    state: State | None = None
    tag: str | None = None
    since: datetime | None = None

    @property
    def takes_all(self) -> bool:
        """Whether nothing is left out."""
        return self == RunFilter()


@dataclass
class UnfinishedEvaluations:
    """What a watcher remembers, so that each look reads little: an evaluation that is whole stays so.

    Attributes:
        last: the largest number of an evaluation that was looked at.
        numbers: the evaluations up to there that were not whole at the last look.
    """

    last: int = 0
    numbers: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run that has no network yet, or none at all; see ``RunRecord``.

    Attributes:
        epochs: trained so far; ``of_epochs``: wanted, None if the stored training does not tell.
    """

    id: int
    label: str
    status: str
    failure: str | None
    finished_utc: datetime | None
    epochs: int
    of_epochs: int | None


@dataclass(frozen=True, slots=True)
class EvaluationSeen:
    """The evaluation that a block at work belongs to.

    Attributes:
        done: images with a verdict, of ``examples``.
    """

    id: int
    attack: str
    seed: int
    done: int
    examples: int


@dataclass(frozen=True, slots=True)
class ItemSeen:
    """An item at work.

    Attributes:
        label: of its run or model; None where the store does not know the item.
        run, model: the number of its run, or of its model from elsewhere.
        training: of a training; ``evaluation``: of a block.
        checkpoint: the name of the weights that are attacked or checked; None of a training, or of a model.
    """

    held: Held
    label: str | None = None
    run: int | None = None
    model: int | None = None
    training: RunSeen | None = None
    evaluation: EvaluationSeen | None = None
    checkpoint: str | None = None

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        found: dict[str, Any] = {**self.held.document(), "label": self.label, "run": self.run}
        if self.training is not None:
            found |= {"epoch": self.training.epochs, "epochs": self.training.of_epochs}
        if self.checkpoint is not None:
            found["checkpoint"] = self.checkpoint
        if (own := self.evaluation) is not None:
            found |= {"evaluation": own.id, "attack": own.attack, "attack_seed": own.seed}
            found |= {"images_done": own.done, "images": own.examples}
        return found


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed, or is lost, and why."""

    id: int
    label: str
    state: RunState

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        return {"run": self.id, "label": self.label, **self.state.document()}


@dataclass(frozen=True)
class WorkSeen:
    """What was seen at one look.

    Attributes:
        runs: how many runs are in each state.
        begun, whole: evaluations that were begun, and those of them that have all verdicts. Of a repeated one the
            newest attempt counts alone.
        items: at work, in the order in which they were taken.
        failures: the newest first.
        workers: the processes that are at work in the store, also on what is not watched.
    """

    runs: Mapping[State, int]
    begun: int
    whole: int
    items: Sequence[ItemSeen]
    failures: Sequence[FailedRun]
    workers: frozenset[Worker]
    filtered: bool

    @property
    def idle(self) -> bool:
        """Whether nothing that is watched is queued or at work, nor may come to be by what is at work now."""
        quiet = not self.runs["queued"] and not self.items and self.whole == self.begun
        return not self.workers or (self.filtered and quiet)

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "runs": dict(self.runs),
            "evaluations": {"begun": self.begun, "whole": self.whole},
            "at_work": [item.document() for item in self.items],
            "failures": [failed.document() for failed in self.failures],
        }
