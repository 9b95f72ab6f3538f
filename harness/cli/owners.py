"""What RUN means on the command line: a run, by its number, or a model from elsewhere, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cli import completion
from harness.cli.options import of_rows
from harness.errors import HarnessError, UnknownName, of_name

if TYPE_CHECKING:
    from harness.store.lookups import NamedModel
    from harness.store.records import ModelRecord, RunRecord
    from harness.store.store import Store

ON = of_rows(
    "--dataset NAME",
    "If a model has several data sets: the one that is meant, by name or beginning of its fingerprint.",
    complete=completion.datasets,
)


def owner_of(store: Store, name: str, dataset: str | None) -> RunRecord | ModelRecord:
    """The run of that number, or the model of that name.

    Raises:
        HarnessError: there is none, or several models have the name; says what to do.
    """
    model = named_model(store.named_models(), name, dataset)
    return store.numbered(name) if model is None else store.model(model.id)


def owners_of(store: Store, names: Sequence[str], dataset: str | None) -> list[RunRecord | ModelRecord]:
    """The runs and models of those names, each once."""
    found = [owner_of(store, name, dataset) for name in names]
    return list({(type(owner), owner.id): owner for owner in found}.values())


def named_model(models: Sequence[NamedModel], name: str, dataset: str | None) -> NamedModel | None:
    """The model of that name; None for a number that is no model's name."""
    found = of_name(name, models, lambda model: model.name)
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


def _places(models: Sequence[NamedModel]) -> str:
    return ", ".join(f"{model.dataset.name} [{model.dataset.fingerprint[:8]}]" for model in models)
