"""``harness show``: everything about one run, or one model from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.console import print_json
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB, argument, of_rows
from harness.errors import HarnessError, UnknownName, normal

if TYPE_CHECKING:
    from harness.store.records import ModelRecord


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

    from harness.cli.show_text import parts_of_model, parts_of_run

    console = Console()
    for part in parts_of_run(record) if isinstance(record, RunRecord) else parts_of_model(record):
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


def _in_json_types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_json_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_json_types(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no infinity and no NaN
    return value.isoformat() if isinstance(value, datetime) else value
