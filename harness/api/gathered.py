"""The rows of tables, gathered from the store's records. A row has documents of its own: records share equal ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from harness.api.filters import NAMES
from harness.leaderboard.contestants import Contestant, Trained, contestants, trained_by
from harness.plugin.ball import LINF
from harness.reference import ReportedFigure
from harness.store.records import (
    CheckpointRecord,
    Curve,
    DatasetRecord,
    EvaluationRecord,
    ExaminationRecord,
    ModelRecord,
    RunRecord,
)
from harness.store.run_state import RunState

Row = dict[str, Any]


def current(runs: Iterable[RunRecord]) -> set[int]:
    """The numbers of the attempts that count: of each identity the newest that is done, else the newest."""
    newest: dict[str, RunRecord] = {}
    for run in runs:
        known = newest.get(run.identity)
        if known is None or run.status == "done" or known.status != "done":
            newest[run.identity] = run
    return {run.id for run in newest.values()}


def run_rows(runs: Sequence[RunRecord], states: Mapping[int, RunState]) -> Iterator[Row]:
    """Each run, in the order of their numbers."""
    counts = current(runs)
    for run in runs:
        yield of_run(run, counts) | {
            "status": states[run.id].state,
            "failure": run.failure,
            "epochs": run.training.get("epochs"),
            "epochs_done": len(run.epochs),
            "training_s": sum(epoch.duration_s for epoch in run.epochs),
            "created_utc": _in_utc(run.created_utc),
            "finished_utc": _in_utc(run.finished_utc),
            **_place(run.provenance),
            **{name: getattr(run, name) for name in ("parameters", "identity", "training_sha256", "folder", "note")},
            **{name: dict(getattr(run, name)) for name in ("method_settings", "network_settings", "training")},
            "tags": list(run.tags),
        }


def epoch_rows(runs: Sequence[RunRecord]) -> Iterator[Row]:
    """Each epoch of each run."""
    counts = current(runs)
    for run in runs:
        known = of_run(run, counts)
        for epoch in run.epochs:
            yield known | vars(epoch) | {"diagnostics": dict(epoch.diagnostics)}


def model_rows(models: Iterable[ModelRecord]) -> Iterator[Row]:
    """Each model that harness did not train."""
    for network, model in zip(contestants([], models), models, strict=True):
        yield _of_network(network, network.dataset) | {
            "parameters": model.parameters,
            "created_utc": _in_utc(model.created_utc),
            "sha256": model.checkpoint.sha256,
            "provenance": model.provenance,
            "note": model.note,
            "tags": list(model.tags),
        }


def networks_of(runs: Sequence[RunRecord], models: Sequence[ModelRecord]) -> Iterator[tuple[CheckpointRecord, Row]]:
    """Each checkpoint of each run, and of each model, with the columns that say which network it is."""
    counts = current(runs)
    for run in runs:
        for network, checkpoint in zip(contestants([run], with_trials=True), run.checkpoints, strict=True):
            yield checkpoint, of_run(run, counts) | _of_checkpoint(network)
    for network, model in zip(contestants([], models), models, strict=True):
        yield model.checkpoint, _of_network(network, network.dataset) | _of_checkpoint(network)


def evaluation_rows(runs: Sequence[RunRecord], models: Sequence[ModelRecord]) -> Iterator[Row]:
    """Each evaluation of each checkpoint; of each repeated evaluation, the attempt that counts."""
    for checkpoint, known in networks_of(runs, models):
        for evaluation in checkpoint.evaluations:
            yield known | _of_evaluation(evaluation)


def finding_rows(runs: Sequence[RunRecord], models: Sequence[ModelRecord]) -> Iterator[Row]:
    """Each finding of each checkpoint; of examinations that differ in the edition of the checks alone, the newest."""
    for checkpoint, known in networks_of(runs, models):
        newest: dict[str, ExaminationRecord] = {}
        for examination in sorted(checkpoint.examinations, key=lambda e: e.created_utc):
            scope = {key: value for key, value in examination.settings.items() if key != "edition"}
            newest[repr(sorted(scope.items()))] = examination
        for examination in newest.values():
            scope = examination.settings
            place = {
                "examined": scope["kind"],
                "epsilon": scope["epsilon"],
                "norm": scope.get("norm", LINF),
                "sample": scope.get("sample", "first"),
                "examples": scope["examples"],
                "created_utc": _in_utc(examination.created_utc),
            }
            for finding in examination.findings:
                yield known | place | vars(finding)


def reported_rows(figures: Iterable[ReportedFigure]) -> Iterator[Row]:
    """Each figure that a publication reports."""
    for figure in figures:
        yield {
            **vars(figure),
            "attack": figure.metric,
            "reported_percent": figure.median_percent,
            "seeds": figure.n,
            "note": figure.note or None,
        }


def of_run(run: RunRecord, counts: set[int]) -> Row:
    """The columns that say which network a run trained; ``counts`` are the runs that count."""
    known = {"run": run.id, "train_seed": run.train_seed, "attempt": run.attempt, "current": run.id in counts}
    return _of_network(trained_by(run), run.dataset) | known


def _of_network(network: Trained, dataset: DatasetRecord) -> Row:
    return {
        "run": None,
        "method": network.label,
        "network": network.arch_label,
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        "train_seed": None,
        "attempt": None,
        "current": True,
        NAMES: {"method": (network.short_label, network.method), "network": (network.network,)},
    }


def _of_checkpoint(network: Contestant) -> Row:
    return {"checkpoint": network.checkpoint.name, "checkpoint_epoch": network.checkpoint.epoch}


def _of_evaluation(evaluation: EvaluationRecord) -> Row:
    return {
        "evaluation": evaluation.id,
        **of_attack(evaluation),
        "seed": evaluation.seed,
        "sample": evaluation.sample,
        "examples": evaluation.examples,
        "done": evaluation.done,
        "complete": evaluation.complete,
        "correct": evaluation.correct,
        "accuracy_percent": evaluation.percent if evaluation.complete else None,
        "duration_s": evaluation.duration_s,
        "created_utc": _in_utc(evaluation.created_utc),
        "warnings": list(evaluation.warnings),
        **_place(evaluation.provenance),
    }


def of_attack(used: EvaluationRecord | Curve) -> Row:
    """The attack, its settings, and its ball."""
    settings = used.settings
    return {
        "attack": used.attack,
        "settings": dict(settings),
        "settings_sha256": used.settings_sha256,
        "epsilon": settings.get("epsilon"),
        "norm": settings.get("norm", LINF) if "epsilon" in settings else None,
    }


def _place(provenance: dict[str, Any]) -> Row:
    return {name: provenance.get(name) for name in ("device", "host")}


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)
