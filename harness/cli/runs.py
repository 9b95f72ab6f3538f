"""``harness runs`` and ``harness show``: what was trained and attacked, and under what circumstances."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import AsJson, Db

if TYPE_CHECKING:
    from harness.store.records import RunRecord

BARS = "▁▂▃▄▅▆▇█"


def runs(db: Db = None, as_json: AsJson = False) -> None:
    """List every run: a trained network, or the attempt at one."""
    from harness.store.store import Store

    store = Store.read(db)
    records = store.runs()
    store.close()
    if as_json:
        print(json.dumps({"runs": [_brief(record) for record in records]}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not records:
        console.print("No run yet; `harness run sat --dataset digits --arch smallcnn` makes one")
        return
    names = ("run", "method", "network", "dataset", "train seed", "attempt", "status", "epochs", "evaluations")
    table = Table(*names)
    for record in records:
        brief = _brief(record)
        table.add_row(*(str(brief[name.replace(" ", "_")]) for name in names))
    console.print(table)


def show(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="The run's number, as `harness runs` prints it.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: settings, provenance, epoch curves, evaluations."""
    from harness.store.store import Store

    store = Store.read(db)
    record = store.run(run_id)
    store.close()
    if as_json:
        print(json.dumps(_whole(record), indent=2))
    else:
        _print(record)


def curve(values: list[float]) -> str:
    """A small chart, one bar a value, from the least to the greatest."""
    low, high = min(values), max(values)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)


def _brief(record: RunRecord) -> dict[str, Any]:
    departures = "".join(f" {key}={value}" for key, value in record.method_departures.items())
    evaluations = [e for checkpoint in record.checkpoints for e in checkpoint.evaluations]
    return {
        "run": record.id,
        "method": record.method + departures,
        "network": record.network,
        "dataset": record.dataset.name,
        "train_seed": record.train_seed,
        "attempt": record.attempt,
        "status": record.status,
        "epochs": f"{len(record.epochs)}/{record.training['epochs']}",
        "evaluations": sum(e.complete for e in evaluations),
    }


def _whole(record: RunRecord) -> dict[str, Any]:
    document = asdict(record)
    for key in ("created_utc", "finished_utc"):
        document[key] = document[key].isoformat() if document[key] else None
    return document


def _print(record: RunRecord) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    facts = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "run": f"{record.id} (attempt {record.attempt}, identity {record.identity[:12]})",
        "status": record.status + (f": {record.failure}" if record.failure else ""),
        "method": f"{record.method}  {_settings(record.method_settings)}",
        "network": f"{record.network}  {_settings(record.network_settings)}  {record.parameters:,} parameters",
        "dataset": f"{record.dataset.name}  {record.dataset.train_examples:,} / {record.dataset.test_examples:,} images"
        f"  [{record.dataset.fingerprint[:8]}]",
        "training": _settings(record.training),
        "train seed": str(record.train_seed),
        "started": f"{record.created_utc:%Y-%m-%d %H:%M:%S} UTC",
        "provenance": _settings(record.provenance),
        "folder": record.folder,
    }
    for name, text in rows.items():
        facts.add_row(Text(name, style="bold"), Text(text))
    console.print(facts)
    if record.epochs:
        series = {"loss": [epoch.loss for epoch in record.epochs]}
        for name in record.epochs[-1].diagnostics:
            series[name] = [epoch.diagnostics[name] for epoch in record.epochs if name in epoch.diagnostics]
        console.print(Text(f"\nepochs 1 to {record.epochs[-1].epoch}", style="bold"))
        for name, values in series.items():
            console.print(Text(f"  {name:<16} {curve(values)}  {values[0]:.4g} to {values[-1]:.4g}"))
    table = Table("checkpoint", "attack", "seed", "correct", "of", "%", "seconds", "warnings", title="evaluations")
    for checkpoint in record.checkpoints:
        for e in checkpoint.evaluations:
            state = f"{e.percent:.2f}" if e.complete else f"{e.done}/{e.examples} done"
            counts = (str(e.seed), str(e.correct), str(e.examples), state, f"{e.duration_s:.1f}")
            table.add_row(f"{checkpoint.name} ({checkpoint.epoch})", e.attack, *counts, "; ".join(e.warnings))
    if table.row_count:
        console.print(table)


def _settings(values: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )
