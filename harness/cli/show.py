"""``harness show``: one run, or one model from elsewhere, whole."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.code_text import code_of_model, code_of_run
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB, argument, of_rows
from harness.errors import HarnessError, UnknownName, normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.store.records import CheckpointRecord, EvaluationRecord, ModelRecord, RunRecord

BARS = "▁▂▃▄▅▆▇█"


@grouped
def show(
    what: Annotated[str, argument("RUN", "A run's number, or a model's name: see `harness runs`.")],
    dataset: str | None = of_rows(
        "--dataset NAME",
        "The data set of a model: its name, or its fingerprint's beginning.",
        complete=completion.datasets,
    ),
    db: str | None = DB,
    as_json: bool = AS_JSON,
) -> None:
    """Show one run, or one model from elsewhere: settings, provenance, epoch curves, evaluations, checks of rigour."""
    from rich.console import Console

    from harness.store.records import RunRecord
    from harness.store.store import Store

    store = Store.read(db)
    record = _model(store.models(), what, dataset) or store.run(int(what))
    store.close()
    if as_json:
        print(json.dumps(_whole(record), indent=2))
        return
    if isinstance(record, RunRecord):
        _print(record, Console())
    else:
        _print_model(record, Console())


def _model(models: Sequence[ModelRecord], name: str, dataset: str | None) -> ModelRecord | None:
    """The model of that name; None for a number, where no model is called so."""
    found = [model for model in models if normal(model.name) == normal(name)]
    if not found and not name.isdecimal():
        raise UnknownName("run or model", name, {model.name for model in models})
    if not found and dataset is not None:
        raise HarnessError(f"--dataset is refused: {name} is a run, and so of one data set; leave it out")
    if found and dataset is not None:
        known = ", ".join(_place(model) for model in found)
        found = [m for m in found if m.dataset.name == dataset or m.dataset.fingerprint.startswith(dataset)]
        if not found:
            raise HarnessError(f"{name} was not evaluated on {dataset}, but on {known}; see --dataset")
    if len(found) > 1:
        known = ", ".join(_place(model) for model in found)
        raise HarnessError(f"{len(found)} models are called {name}, on {known}; say which, by --dataset")
    return found[0] if found else None


def _place(model: ModelRecord) -> str:
    return f"{model.dataset.name} [{model.dataset.fingerprint[:8]}]"


def curve(values: list[float]) -> str:
    """A small chart, one bar a value, from the least to the greatest; ``?`` where a value is not finite."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] if math.isfinite(value) else "?" for value in values)


def _whole(record: RunRecord | ModelRecord) -> dict[str, Any]:
    document: dict[str, Any] = _in_json_types(asdict(record))
    return document


def _in_json_types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_json_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_json_types(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    return value.isoformat() if isinstance(value, datetime) else value


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
            "code": "\n".join(code_of_run(record)),
            "provenance": _settings({key: v for key, v in record.provenance.items() if key != "sources"}),
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
            "code": "\n".join(code_of_model(model)) or "none of the user's",
            "normalisation": str(model.provenance.get("normalisation", "none put inside")),
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

    names = ("checkpoint", "attack", "settings", "seed", "correct", "of", "%", "seconds")
    table = Table(*names, title="evaluations")
    every = [e for checkpoint in checkpoints for e in checkpoint.evaluations]
    warned = []
    for checkpoint in checkpoints:
        place = checkpoint.name + (f" ({checkpoint.epoch})" if checkpoint.epoch is not None else "")
        for e in checkpoint.evaluations:
            state = f"{e.percent:.2f}" if e.complete else f"{e.done}/{e.examples} done"
            counts = (str(e.seed), str(e.correct), str(e.examples), state, f"{e.duration_s:.1f}")
            table.add_row(place, e.attack, _settings(_telling(e, every)), *counts)
            warned += [f"  {e.attack}, seed {e.seed}, {checkpoint.name}: {text}" for text in e.warnings]
    if table.row_count:
        console.print(table)
    if warned:
        _print_heading(console, "warnings of the attacks")
    for text in warned:
        _print_line(console, text)
    for checkpoint in checkpoints:
        for examination in checkpoint.examinations:
            norm = f" ({examination.settings['norm']})" if "norm" in examination.settings else ""
            where = f"epsilon {examination.settings['epsilon']:.6g}{norm}, {examination.settings['examples']} images"
            _print_heading(console, f"checks of the {examination.settings['kind']}, {checkpoint.name}, {where}")
            for finding in examination.findings:
                beyond = "" if finding.threshold is None else f" (flagged beyond {finding.threshold:g})"
                _print_line(console, f"  {finding.mark or ' '} {finding.check}: {finding.reason}{beyond}")


def _telling(evaluation: EvaluationRecord, every: Sequence[EvaluationRecord]) -> dict[str, Any]:
    """The ball, and what tells an evaluation from others by the same attack."""
    alike = [other.settings for other in every if other.attack == evaluation.attack]
    return {
        key: value
        for key, value in evaluation.settings.items()
        if key in ("epsilon", "norm") or any(other.get(key) != value for other in alike)
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
