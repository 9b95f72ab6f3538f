"""``harness show``: everything about one run, or one model from elsewhere."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.console import print_json
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB, argument, of_rows
from harness.errors import HarnessError, UnknownName, normal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from harness.store.records import CheckpointRecord, EvaluationRecord, ModelRecord, RunRecord

BARS = "▁▂▃▄▅▆▇█"


@grouped
def show(
    what: Annotated[str, argument("RUN", "A run's number, or a model's name: see `harness runs`.")],
    dataset: str | None = of_rows(
        "--dataset NAME",
        "If a model has several data sets: the one to show, by name or beginning of its fingerprint.",
        complete=completion.datasets,
    ),
    db: str | None = DB,
    as_json: bool = AS_JSON,
) -> None:
    """Show a run, or another evaluated model: settings, provenance, epoch curves, evaluations, checks of rigour."""
    from harness.store.records import RunRecord
    from harness.store.store import Store

    store = Store.read(db)
    record = _model(store.models(), what, dataset) or store.run(int(what))
    store.close()
    if as_json:
        print_json(_in_json_types(asdict(record)))
        return
    from rich.console import Console

    console = Console()
    for part in _parts_of_run(record) if isinstance(record, RunRecord) else _parts_of_model(record):
        console.print(part)


def _model(models: Sequence[ModelRecord], name: str, dataset: str | None) -> ModelRecord | None:
    """The model of that name; None for a number that is no model's name."""
    found = [model for model in models if normal(model.name) == normal(name)]
    if not found and not name.isdecimal():
        raise UnknownName("run or model", name, {model.name for model in models})
    if not found and dataset is not None:
        raise HarnessError(f"--dataset is refused: {name} is a run, and so of one data set; leave it out")
    chosen = [m for m in found if dataset in (None, m.dataset.name) or m.dataset.fingerprint.startswith(dataset or "")]
    if found and not chosen:
        raise HarnessError(f"{name} was not evaluated on {dataset}, but on {_places(found)}; see --dataset")
    if len(chosen) > 1:
        raise HarnessError(f"{len(chosen)} models are called {name}, on {_places(chosen)}; say which, by --dataset")
    return chosen[0] if chosen else None


def _places(models: Sequence[ModelRecord]) -> str:
    return ", ".join(f"{model.dataset.name} [{model.dataset.fingerprint[:8]}]" for model in models)


def curve(values: list[float]) -> str:
    """A small chart, one bar a value, from the least to the greatest; ``?`` where a value is not finite."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] if math.isfinite(value) else "?" for value in values)


def _in_json_types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_json_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_json_types(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no infinity and no NaN
    return value.isoformat() if isinstance(value, datetime) else value


def _parts_of_run(run: RunRecord) -> Iterator[RenderableType]:
    from rich.text import Text

    from harness.cli.code_text import code_of_run
    from harness.runtime.provenance import every_place

    yield _facts(
        {
            "run": f"{run.id} (attempt {run.attempt}, identity {run.identity[:12]})",
            "status": run.status + (f": {run.failure}" if run.failure else ""),
            "method": f"{run.method}  {_settings(run.method_settings)}",
            "network": _network(run),
            "dataset": _dataset(run),
            "training": _settings(run.training),
            "train seed": str(run.train_seed),
            "started": f"{run.created_utc:%Y-%m-%d %H:%M:%S} UTC",
            "code": "\n".join(code_of_run(run)),
            "provenance": "\n".join(map(_settings, every_place(run.provenance))),
            "folder": run.folder,
        }
    )
    if run.epochs:
        series = {"loss": [epoch.loss for epoch in run.epochs]}
        for name in run.epochs[-1].diagnostics:
            series[name] = [epoch.diagnostics[name] for epoch in run.epochs if name in epoch.diagnostics]
        yield Text(f"\nepochs 1 to {run.epochs[-1].epoch}", style="bold")
        for name, values in series.items():
            yield Text(f"  {name:<16} {curve(values)}  {values[0]:.4g} to {values[-1]:.4g}")
    yield from _checkpoints(run.checkpoints)


def _parts_of_model(model: ModelRecord) -> Iterator[RenderableType]:
    from harness.cli.code_text import code_of_model

    yield _facts(
        {
            "model": f"{model.name} (not trained by harness)",
            "network": _network(model),
            "dataset": _dataset(model),
            "entered": f"{model.created_utc:%Y-%m-%d %H:%M:%S} UTC",
            "code": "\n".join(code_of_model(model)) or "none of the user's",
            "normalisation": str(model.provenance.get("normalisation", "none put inside")),
            "provenance": _settings(model.provenance),
        }
    )
    yield from _checkpoints([model.checkpoint])


def _facts(facts: dict[str, str]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in facts.items():
        table.add_row(Text(name, style="bold"), Text(text))
    return table


def _checkpoints(checkpoints: Sequence[CheckpointRecord]) -> Iterator[RenderableType]:
    """Every evaluation, the warnings of its attack, and the findings of every examination."""
    from rich.table import Table
    from rich.text import Text

    table = Table("checkpoint", "attack", "settings", "seed", "correct", "of", "%", "seconds", title="evaluations")
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
        yield table
    if warned:
        yield Text("\nwarnings of the attacks", style="bold")
        yield from map(Text, warned)
    for checkpoint in checkpoints:
        for examination in checkpoint.examinations:
            settings = examination.settings
            norm = f" ({settings['norm']})" if "norm" in settings else ""
            where = f"epsilon {settings['epsilon']:.6g}{norm}, {settings['examples']} images"
            yield Text(f"\nchecks of the {settings['kind']}, {checkpoint.name}, {where}", style="bold")
            for finding in examination.findings:
                beyond = "" if finding.threshold is None else f" (flagged beyond {finding.threshold:g})"
                yield Text(f"  {finding.mark or ' '} {finding.check}: {finding.reason}{beyond}")


def _telling(evaluation: EvaluationRecord, every: Sequence[EvaluationRecord]) -> dict[str, Any]:
    """The ball, and the settings that differ between evaluations by the same attack."""
    alike = [other.settings for other in every if other.attack == evaluation.attack]
    return {
        key: value
        for key, value in evaluation.settings.items()
        if key in ("epsilon", "norm") or any(other.get(key) != value for other in alike)
    }


def _network(record: RunRecord | ModelRecord) -> str:
    return f"{record.network}  {_settings(record.network_settings)}  {record.parameters:,} parameters"


def _dataset(record: RunRecord | ModelRecord) -> str:
    data = record.dataset
    return f"{data.name}  {data.train_examples:,} / {data.test_examples:,} images  [{data.fingerprint[:8]}]"


def _settings(values: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )
