"""Hand-made records, and a store that holds them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from harness.events import Finding
from harness.leaderboard.board import Board, Row, Selection
from harness.leaderboard.contestants import failed_trainings, newest
from harness.leaderboard.ranking import boards
from harness.reference import ReportedFigure
from harness.store.records import (
    CheckpointRecord,
    Curve,
    DatasetRecord,
    EvaluationRecord,
    ExaminationRecord,
    ModelRecord,
    ProtocolRecord,
    RunRecord,
)
from harness.store.run_state import RunState
from harness.store.run_states import RunWithStatus
from harness.store.store import Store
from tests.tiny import PROTOCOL_DOCUMENT

DIGITS = DatasetRecord("digits", "d" * 64, 1437, 360, 1, 8, 8, 10)
ATTACKS = {"natural": "natural-0", "pgd": "pgd-20", "autoattack": "aa"}
PROTOCOL = ProtocolRecord("1" * 64, "tiny", "training-a", ATTACKS, PROTOCOL_DOCUMENT)


class Held(Store):
    """A store that holds what it is given; the first ``correct`` images of an evaluation are right."""

    def __init__(
        self,
        runs: Sequence[RunRecord],
        protocols: Sequence[ProtocolRecord] = (PROTOCOL,),
        reported: Sequence[ReportedFigure] = (),
        models: Sequence[ModelRecord] = (),
    ) -> None:
        self._verdicts: dict[int, bytes] = {}
        self._held = [self._numbered(run) for run in runs], list(protocols), list(reported)
        self._models = [replace(model, checkpoint=self._counted(model.checkpoint)) for model in models]

    def provenances(self, numbers: Collection[int]) -> dict[int, dict[str, Any]]:
        return {run.id: run.provenance for run in self._held[0] if run.id in numbers}

    def _numbered(self, run: RunRecord) -> RunRecord:
        return replace(run, checkpoints=tuple(map(self._counted, run.checkpoints)))

    def _counted(self, checkpoint: CheckpointRecord) -> CheckpointRecord:
        return replace(checkpoint, evaluations=tuple(map(self._kept, checkpoint.evaluations)))

    def _kept(self, evaluation: EvaluationRecord) -> EvaluationRecord:
        number = len(self._verdicts) + 1
        right = evaluation.provenance.get("right", bytes([1] * evaluation.correct))
        self._verdicts[number] = right.ljust(evaluation.done, b"\0")
        return replace(evaluation, id=number)

    def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        return {number: self._verdicts[number] for number in evaluation_ids}

    def bits_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        return self.verdicts_of(evaluation_ids)

    def standings(self) -> tuple[list[RunRecord], list[ModelRecord]]:
        return newest(self.runs()), self.models()

    def tags_of_runs(self) -> dict[int, tuple[str, ...]]:
        return {run.id: run.tags for run in self.runs() if run.tags}

    def failed_trainings(self) -> list[RunRecord]:
        return failed_trainings(self.runs())

    def called_runs(self, *, with_weights: bool = False) -> list[RunRecord]:
        return [run for run in newest(self.runs()) if run.checkpoints or not with_weights]

    def runs_of(self, numbers: Collection[int]) -> list[RunRecord]:
        return [run for run in self.runs() if run.id in numbers]

    def curves_of(self, run_ids: Iterable[int]) -> dict[int, list[Curve]]:
        return {number: [] for number in run_ids}

    def runs(self) -> list[RunRecord]:
        return self._held[0]

    def states(self, runs: Iterable[RunWithStatus]) -> dict[int, RunState]:
        return {run.id: RunState("done", None, run.finished_utc) for run in runs}

    def protocols(self) -> list[ProtocolRecord]:
        return self._held[1]

    def models(self) -> list[ModelRecord]:
        return self._models

    def reported(self) -> list[ReportedFigure]:
        return self._held[2]


def evaluation(attack: str, correct: int, **changes: Any) -> EvaluationRecord:
    """A complete evaluation of 200 images, under the settings of PROTOCOL."""
    record = EvaluationRecord(
        id=0,
        attack=attack,
        settings={},
        settings_sha256=ATTACKS.get(attack, "?"),
        seed=0,
        examples=200,
        done=200,
        correct=correct,
        blocks=((0, 200),),
        duration_s=1.0,
        warnings=(),
        provenance={},
    )
    return replace(record, **changes)


def checkpoint(*evaluations: EvaluationRecord, name: str = "last", epoch: int = 10) -> CheckpointRecord:
    return CheckpointRecord(0, name, epoch, "c" * 64, evaluations)


def run(number: int, *checkpoints: CheckpointRecord | EvaluationRecord, **changes: Any) -> RunRecord:
    """A run that is done; evaluations given without a checkpoint are those of its last one."""
    loose = [c for c in checkpoints if isinstance(c, EvaluationRecord)]
    firm = [c for c in checkpoints if isinstance(c, CheckpointRecord)]
    record = RunRecord(
        id=number,
        identity=f"identity-{number}",
        attempt=1,
        method="sat",
        method_settings={},
        method_departures={},
        wrappers=[],
        network="smallcnn",
        network_settings={"width": 16},
        network_departures={},
        dataset=DIGITS,
        training={"epochs": 10},
        training_sha256="training-a",
        train_seed=0,
        status="done",
        failure=None,
        folder="",
        parameters=1,
        created_utc=datetime(2026, 1, 1),
        finished_utc=datetime(2026, 1, 2),
        provenance={},
        epochs=(),
        checkpoints=(*firm, *([checkpoint(*loose)] if loose else [])),
    )
    return replace(record, **changes)


def model(name: str, *evaluations: EvaluationRecord, **changes: Any) -> ModelRecord:
    """A model from elsewhere."""
    record = ModelRecord(
        id=1,
        identity=f"identity-of-{name}",
        name=name,
        network="resnet18",
        network_settings={},
        network_departures={},
        dataset=DIGITS,
        parameters=1,
        created_utc=datetime(2026, 1, 1),
        provenance={},
        checkpoint=CheckpointRecord(0, "given", None, "e" * 64, evaluations),
    )
    return replace(record, **changes)


def seeds(attack: str, *correct: int) -> list[EvaluationRecord]:
    return [evaluation(attack, count, seed=seed) for seed, count in enumerate(correct)]


def close(expected: float) -> Any:
    return pytest.approx(expected, rel=1e-12)


def all_rows(store: Store, selection: Selection | None = None) -> list[tuple[Board, Row]]:
    return [(board, row) for board in boards(store, selection) for row in board.rows]


def median(row: Row, attack: str) -> float | None:
    figure = row.metrics[attack]
    return None if figure is None else figure.median


def right(attack: str, *verdicts: str, **changes: Any) -> list[EvaluationRecord]:
    """Evaluations of as many images as there are digits; 1 is right. One a seed."""
    return [
        evaluation(
            attack,
            digits.count("1"),
            seed=seed,
            examples=len(digits),
            done=len(digits),
            settings={} if attack == "natural" else {"block_size": 4},
            provenance={"right": bytes(map(int, digits))},
            **changes,
        )
        for seed, digits in enumerate(verdicts)
    ]


def finding(check: str, status: str = "flagged", mark: str = "Z") -> Finding:
    flagged = status == "flagged"
    return Finding(check, status, mark if flagged else "", 0.5, 0.1, f"why {check}", {})  # type: ignore[arg-type]


THREAT = {"epsilon": 0.2, "steps": 20, "step_size": 0.05, "start": "uniform"}  # of PROTOCOL


def examined(number: int, *findings: Finding, **elsewhere: Any) -> RunRecord:
    """A run whose last checkpoint was examined under PROTOCOL, or elsewhere."""
    settings = {"kind": "model", "edition": 1, "epsilon": 0.2, "examples": 200, "threat": THREAT, "block_size": 100}
    examination = ExaminationRecord(settings | elsewhere, datetime(2026, 1, 3), 1.0, {}, findings)
    last = replace(checkpoint(evaluation("autoattack", 50)), examinations=(examination,))
    return run(number, last, train_seed=number)
