"""``harness show``: one run, or one model from elsewhere, whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import AsJson, Db
from harness.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.store.records import CheckpointRecord, EvaluationRecord, ModelRecord, RunRecord

BARS = "▁▂▃▄▅▆▇█"


def show(
    what: Annotated[str, typer.Argument(metavar="RUN", help="A run's number, or a model's name: see `harness runs`.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Show one run, or one model from elsewhere: settings, provenance, epoch curves, evaluations, checks of rigour."""
    from rich.console import Console

    from harness.store.records import RunRecord
    from harness.store.store import Store

    store = Store.read(db)
    models = {model.name: model for model in store.models()}
    if what not in models and not what.isdecimal():
        raise UnknownName("run or model", what, models)
    record = models.get(what) or store.run(int(what))
    store.close()
    if as_json:
        print(json.dumps(_whole(record), indent=2))
        return
    if isinstance(record, RunRecord):
        _print(record, Console())
    else:
        _print_model(record, Console())


def curve(values: list[float]) -> str:
    """A small chart, one bar a value, from the least to the greatest."""
    low, high = min(values), max(values)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)


def _whole(record: RunRecord | ModelRecord) -> dict[str, Any]:
    document = asdict(record)
    checkpoints = document["checkpoints"] if "checkpoints" in document else [document["checkpoint"]]
    for part in (document, *(examination for c in checkpoints for examination in c["examinations"])):
        for key in ("created_utc", "finished_utc"):
            if key in part:
                part[key] = part[key].isoformat() if part[key] else None
    return document


def _print(record: RunRecord, console: Console) -> None:
    _print_facts(
        console,
        {
            "run": f"{record.id} (attempt {record.attempt}, identity {record.identity[:12]})",
            "status": record.status + (f": {record.failure}" if record.failure else ""),
            "method": f"{record.method}  {_settings(record.method_settings)}",
            "network": f"{record.network}  {_settings(record.network_settings)}  {record.parameters:,} parameters",
            "dataset": _dataset(record),
            "training": _settings(record.training),
            "train seed": str(record.train_seed),
            "started": f"{record.created_utc:%Y-%m-%d %H:%M:%S} UTC",
            "provenance": _settings(record.provenance),
            "folder": record.folder,
        },
    )
    if record.epochs:
        series = {"loss": [epoch.loss for epoch in record.epochs]}
        for name in record.epochs[-1].diagnostics:
            series[name] = [epoch.diagnostics[name] for epoch in record.epochs if name in epoch.diagnostics]
        _print_heading(console, f"epochs 1 to {record.epochs[-1].epoch}")
        for name, values in series.items():
            _print_line(console, f"  {name:<16} {curve(values)}  {values[0]:.4g} to {values[-1]:.4g}")
    _print_checkpoints(console, record.checkpoints)


def _print_model(model: ModelRecord, console: Console) -> None:
    _print_facts(
        console,
        {
            "model": f"{model.name} (not trained by harness)",
            "network": f"{model.network}  {_settings(model.network_settings)}  {model.parameters:,} parameters",
            "dataset": _dataset(model),
            "entered": f"{model.created_utc:%Y-%m-%d %H:%M:%S} UTC",
            "provenance": _settings(model.provenance),
        },
    )
    _print_checkpoints(console, [model.checkpoint])


def _print_facts(console: Console, facts: dict[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in facts.items():
        table.add_row(Text(name, style="bold"), Text(text))
    console.print(table)


def _print_checkpoints(console: Console, checkpoints: Sequence[CheckpointRecord]) -> None:
    """Every evaluation, and what every examination flagged."""
    from rich.table import Table

    names = ("checkpoint", "attack", "settings", "seed", "correct", "of", "%", "seconds", "warnings")
    table = Table(*names, title="evaluations")
    every = [e for checkpoint in checkpoints for e in checkpoint.evaluations]
    for checkpoint in checkpoints:
        place = checkpoint.name + (f" ({checkpoint.epoch})" if checkpoint.epoch is not None else "")
        for e in checkpoint.evaluations:
            state = f"{e.percent:.2f}" if e.complete else f"{e.done}/{e.examples} done"
            counts = (str(e.seed), str(e.correct), str(e.examples), state, f"{e.duration_s:.1f}")
            table.add_row(place, e.attack, _settings(_telling(e, every)), *counts, "; ".join(e.warnings))
    if table.row_count:
        console.print(table)
    for checkpoint in checkpoints:
        for examination in checkpoint.examinations:
            where = f"epsilon {examination.settings['epsilon']:.6g}, {examination.settings['examples']} images"
            _print_heading(console, f"checks of the {examination.settings['kind']}, {checkpoint.name}, {where}")
            for finding in examination.findings:
                beyond = "" if finding.threshold is None else f" (flagged beyond {finding.threshold:g})"
                _print_line(console, f"  {finding.mark or ' '} {finding.check}: {finding.reason}{beyond}")


def _telling(evaluation: EvaluationRecord, every: Sequence[EvaluationRecord]) -> dict[str, Any]:
    """The radius of the ball, and what tells an evaluation from others by the same attack."""
    alike = [other.settings for other in every if other.attack == evaluation.attack]
    return {
        key: value
        for key, value in evaluation.settings.items()
        if key == "epsilon" or any(other.get(key) != value for other in alike)
    }


def _print_heading(console: Console, text: str) -> None:
    from rich.text import Text

    console.print(Text(f"\n{text}", style="bold"))


def _print_line(console: Console, text: str) -> None:
    from rich.text import Text

    console.print(Text(text))


def _dataset(record: RunRecord | ModelRecord) -> str:
    data = record.dataset
    return f"{data.name}  {data.train_examples:,} / {data.test_examples:,} images  [{data.fingerprint[:8]}]"


def _settings(values: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )
