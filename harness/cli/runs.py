"""``harness runs``: what was trained, and what else was evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.cli.console import print_json
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB

if TYPE_CHECKING:
    from harness.store.records import ModelRecord, RunRecord

_WORDS = ("model", "method", "network", "dataset")  # these may be folded over lines; numbers may not
_HEADS = {"train_seed": "seed", "evaluations": "evals"}  # so that a row fits into 80 columns


@grouped
def runs(db: str | None = DB, as_json: bool = AS_JSON) -> None:
    """List every run (the training of one network, even if it stopped or failed), and every other evaluated model."""
    from harness.store.store import Store

    store = Store.read(db)
    documents = {"runs": list(map(_brief, store.runs())), "models": list(map(_brief_model, store.models()))}
    store.close()
    if as_json:
        print_json(documents)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not any(documents.values()):
        console.print("No run yet; `harness run sat --dataset digits --arch smallcnn` makes one")
    for rows in filter(None, documents.values()):
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in rows[0]:
            table.add_column(_HEADS.get(name, name), no_wrap=name not in _WORDS, overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(value)) for value in row.values()))
        console.print(table)


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


def _brief_model(model: ModelRecord) -> dict[str, Any]:
    return {
        "model": model.name,
        "network": model.network,
        "dataset": model.dataset.name,
        "parameters": model.parameters,
        "evaluations": sum(e.complete for e in model.checkpoint.evaluations),
    }
