"""Runs, and models from elsewhere, as documents for their pages: facts, curves, evaluations, findings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from harness.comparison.labels import Labels, known_labels
from harness.errors import HarnessError, legible
from harness.events import EpochRecord
from harness.leaderboard.contestants import Contestant, contestants, trained_by
from harness.leaderboard.curves import PARTS, named, samples
from harness.leaderboard.headline import headline
from harness.runtime.provenance import every_place
from harness.site.commands import reproduction
from harness.site.evaluations import Checks, Document, Verdicts, checkpoint_document, settings_text
from harness.site.packed import page_json
from harness.site.seeds import label_of
from harness.store.records import Curve, DatasetRecord, ModelRecord, ProtocolRecord, RunRecord
from harness.store.run_state import RunState
from harness.store.store import Store

Point = TypeVar("Point")
MOST_POINTS = 60  # of a curve; a longer training is drawn at every second epoch, or every third, and so on
DIGITS = 3  # significant digits of a point of a curve


def run_texts(store: Store) -> dict[str, list[str]]:
    """Every run, every model from elsewhere, and what their checks share, each as JSON, which takes little memory."""
    runs, models, protocols = store.runs(), store.models(), store.protocols()
    checkpoints = [c for run in runs for c in run.checkpoints] + [model.checkpoint for model in models]
    verdicts = store.bits_of({e.id for c in checkpoints for e in c.evaluations if e.complete})
    datasets = [run.dataset for run in runs] + [model.dataset for model in models]
    known = {dataset.fingerprint: _labels(dataset) for dataset in datasets}
    checks, recorded, states = Checks(), store.curves_of(run.id for run in runs), store.states(runs)

    def text(run: RunRecord) -> str:
        labels = known[run.dataset.fingerprint]
        return page_json(run_document(run, labels, verdicts, protocols, checks, recorded[run.id], states[run.id]))

    own = [text(run) for run in runs]
    theirs = [page_json(model_document(m, known[m.dataset.fingerprint], verdicts, protocols, checks)) for m in models]
    return {"runs": own, "models": theirs, "checks": checks.texts}


@cache
def _labels(record: DatasetRecord) -> Labels | None:
    """The labels of a data set's test images, where they come with an installed package."""
    try:
        labels = known_labels(record, None, ())
    except HarnessError:
        return None
    return labels if isinstance(labels, Labels) else None


def run_document(
    run: RunRecord,
    labels: Labels | None,
    verdicts: Verdicts,
    protocols: Sequence[ProtocolRecord],
    checks: Checks,
    recorded: Sequence[Curve] = (),
    state: RunState | None = None,
) -> Document:
    """Everything about a run.

    Args:
        labels: of the test images; None where they are not known here.
        verdicts: of every complete evaluation of the run.
        checks: takes what the findings of runs share.
        recorded: accuracies while the network was trained.
        state: what became of the run; None: only what the run's row says.
    """
    again, order = reproduction(run, protocols), attack_order(protocols)
    return {
        "id": run.id,
        "label": label_of(run),
        "method": legible(run.method),
        "network": legible(run.network),
        "dataset": legible(run.dataset.name),
        "seed": run.train_seed,
        "arch": legible(trained_by(run).arch_label),
        **_headline(contestants([run], with_trials=True) if run.status == "done" else (), protocols, run.dataset),
        "status": state.state if state is not None else run.status,
        "failure": run.failure,
        "epochs": [run.epochs[-1].epoch if run.epochs else 0, run.training.get("epochs")],
        "facts": {
            "run": f"{run.id} (attempt {run.attempt}, identity {run.identity[:12]})",
            **_remarks(run),
            "method": _with(label_of(run), run.method_settings),
            **({"wrappers": "; ".join(_with(w["name"], w["settings"]) for w in run.wrappers)} if run.wrappers else {}),
            "network": _with(run.network, run.network_settings) + f", {run.parameters:,} parameters",
            "data set": _dataset(run),
            "training": settings_text(run.training),
            "training seed": str(run.train_seed),
            "begun": f"{run.created_utc:%Y-%m-%d %H:%M} UTC",
            **({"state": state.text} if state is not None and run.status == "running" else {}),
            **({"ended": f"{run.finished_utc:%Y-%m-%d %H:%M} UTC"} if run.finished_utc else {}),
            "code": _code(run),
            "made on": "; ".join(map(settings_text, every_place(run.provenance))),
            "folder": run.folder,
        },
        "command": again.command,
        "remarks": list(again.remarks),
        "curves": curves(run.epochs),
        "recorded": recorded_curves(recorded),
        "seconds": round(sum(epoch.duration_s for epoch in run.epochs), 1),
        "machine": machine_of(run),
        "checkpoints": [
            checkpoint_document(checkpoint, labels, verdicts, order, checks) for checkpoint in run.checkpoints
        ],
    }


def attack_order(protocols: Sequence[ProtocolRecord]) -> list[str]:
    """Attacks in the order of the newest protocols: weakest first."""
    return list(dict.fromkeys(attack for protocol in reversed(protocols) for attack in protocol.attacks))


def model_document(
    model: ModelRecord, labels: Labels | None, verdicts: Verdicts, protocols: Sequence[ProtocolRecord], checks: Checks
) -> Document:
    """Everything about a model from elsewhere."""
    order = attack_order(protocols)
    (theirs,) = contestants([], [model])
    return {
        "id": model.id,
        "label": legible(model.name),
        "network": legible(model.network),
        "dataset": legible(model.dataset.name),
        "arch": legible(theirs.arch_label),
        **_headline([theirs], protocols, model.dataset),
        "facts": {
            "model": f"{legible(model.name)} (not trained by harness)",
            **_remarks(model),
            "network": _with(model.network, model.network_settings) + f", {model.parameters:,} parameters",
            "data set": _dataset(model),
            "entered": f"{model.created_utc:%Y-%m-%d %H:%M} UTC",
            "normalisation": str(model.provenance.get("normalisation", "none put inside")),
            "code": ", ".join(model.code) or "none of the user's",
            "origin": settings_text(model.provenance),
        },
        "curves": None,
        "checkpoints": [checkpoint_document(model.checkpoint, labels, verdicts, order, checks)],
    }


def _headline(
    network: Iterable[Contestant], protocols: Sequence[ProtocolRecord], dataset: DatasetRecord
) -> dict[str, str]:
    """The one figure that stands for a network in the list, and what it is of; empty without one."""
    found = headline(list(network), protocols)
    if found is None:
        return {"headline": "", "under": ""}
    figure = f"{legible(found.attack)} {found.percent:.2f}"
    return {"headline": figure, "under": found.under(dataset.test_examples)}


def _remarks(record: RunRecord | ModelRecord) -> dict[str, str]:
    """A person's note and tags, as far as there are any."""
    return {key: text for key, text in (("note", record.note), ("tags", ", ".join(record.tags))) if text}


def _with(name: str, settings: Mapping[str, Any]) -> str:
    return f"{name} ({settings_text(settings)})" if settings else name


def _dataset(record: RunRecord | ModelRecord) -> str:
    data = record.dataset
    sizes = f"{data.train_examples:,} training and {data.test_examples:,} test images"
    return f"{data.name} [{data.fingerprint[:8]}], {sizes}"


def _code(run: RunRecord) -> str:
    others = "; ".join(f"{part} {code[:12]}" for part, code in run.code.items())
    return f"harness {run.provenance.get('harness', '(unknown)')}" + (f"; {others}" if others else ", all as shipped")


def machine_of(run: RunRecord) -> str:
    """Where the training took its time; seconds of two machines, or of two numbers of threads, are not compared."""
    places = every_place(run.provenance)
    texts = dict.fromkeys(" ".join(_machine_words(place)) for place in places)
    return next(iter(texts)) if len(texts) == 1 else "several machines"


def _machine_words(place: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(place[key]) for key in ("device", "gpu", "host") if key in place)
    if "threads" in place:
        yield f"{place['threads']} thread{'s' if place['threads'] != 1 else ''}"


def curves(epochs: Sequence[EpochRecord]) -> Document | None:
    """Loss, learning rate, and the method's diagnostics over the epochs; the first and the last epoch are there."""
    if not epochs:
        return None
    kept, step = thinned(epochs)
    names = dict.fromkeys(name for epoch in kept for name in epoch.diagnostics)
    series = {"loss": [epoch.loss for epoch in kept], "lr": [epoch.lr for epoch in kept]}
    series |= {name: [epoch.diagnostics.get(name, math.nan) for epoch in kept] for name in names}
    rounded = {name: [float(f"{value:.{DIGITS}g}") for value in values] for name, values in series.items()}
    return {"epochs": [epoch.epoch for epoch in kept], "step": step, "series": rounded}


def thinned(points: Sequence[Point]) -> tuple[list[Point], int]:
    """At most ``MOST_POINTS`` points and the last one, and every how many of them are kept; the first is there."""
    step = math.ceil(len(points) / MOST_POINTS)
    return [*points[:-1][::step], points[-1]], step


def recorded_curves(curves: Sequence[Curve]) -> Document | None:
    """Accuracies that were recorded in training: epochs, and for each sample of images the counts of each attack.

    The first, the best, and the last point of every curve are there.
    """
    on = samples(curves)
    if not on:
        return None
    drawn = [curve for those in on.values() for curve in those]
    every = sorted({epoch for curve in drawn for epoch, _ in curve.points})
    kept, step = thinned(every)
    epochs = sorted({*kept, *(point[0] for curve in drawn for point in (curve.points[0], curve.best, curve.last))})
    return {
        "epochs": epochs,
        "step": step,
        "samples": [
            {
                "part": PARTS[part],
                "images": images,
                "attacks": [[name, *map(dict(curve.points).get, epochs)] for name, curve in named(those)],
            }
            for (part, images), those in on.items()
        ],
    }
