"""Runs, and models from elsewhere, as documents for their pages: facts, curves, evaluations, findings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from harness.comparison.labels import Labels, known_labels
from harness.errors import HarnessError
from harness.events import EpochRecord
from harness.leaderboard.cells import interval_text
from harness.plugin.ball import LINF, radius_text
from harness.plugin.images import Images
from harness.runtime.provenance import every_place
from harness.site.commands import reproduction
from harness.site.seeds import label_of
from harness.statistics.figures import plus_minus, summarise, wilson
from harness.statistics.paired import robust_under_every
from harness.store.records import (
    CheckpointRecord,
    DatasetRecord,
    EvaluationRecord,
    ModelRecord,
    ProtocolRecord,
    RunRecord,
)
from harness.store.store import Store

Document = dict[str, Any]
Verdicts = Mapping[int, bytes]

MOST_POINTS = 60  # of a curve; a longer training is drawn at every second epoch, or every third, and so on
DIGITS = 4  # significant digits of a point of a curve


def run_documents(store: Store) -> Document:
    """Every run and every model from elsewhere."""
    runs, models, protocols = store.runs(), store.models(), store.protocols()
    checkpoints = [c for run in runs for c in run.checkpoints] + [model.checkpoint for model in models]
    verdicts = store.verdicts_of({e.id for c in checkpoints for e in c.evaluations if e.complete})
    datasets = [run.dataset for run in runs] + [model.dataset for model in models]
    known = {dataset.fingerprint: _labels(dataset) for dataset in datasets}
    return {
        "runs": [run_document(run, known[run.dataset.fingerprint], verdicts, protocols) for run in runs],
        "models": [model_document(model, known[model.dataset.fingerprint], verdicts, protocols) for model in models],
    }


@cache
def _labels(record: DatasetRecord) -> Labels | None:
    """The labels of a data set's test images, where they come with an installed package."""
    try:
        labels = known_labels(record, None, ())
    except HarnessError:
        return None
    return labels if isinstance(labels, Labels) else None


def run_document(
    run: RunRecord, labels: Labels | None, verdicts: Verdicts, protocols: Sequence[ProtocolRecord]
) -> Document:
    """Everything about a run.

    Args:
        labels: of the test images; None where they are not known here.
        verdicts: of every complete evaluation of the run.
    """
    again, order = reproduction(run, protocols), attack_order(protocols)
    return {
        "id": run.id,
        "label": label_of(run),
        "method": run.method,
        "network": run.network,
        "dataset": run.dataset.name,
        "seed": run.train_seed,
        "status": run.status,
        "failure": run.failure,
        "epochs": [run.epochs[-1].epoch if run.epochs else 0, run.training.get("epochs")],
        "facts": {
            "run": f"{run.id} (attempt {run.attempt}, identity {run.identity[:12]})",
            "method": _with(label_of(run), run.method_settings),
            **({"wrappers": "; ".join(_with(w["name"], w["settings"]) for w in run.wrappers)} if run.wrappers else {}),
            "network": _with(run.network, run.network_settings) + f", {run.parameters:,} parameters",
            "data set": _dataset(run),
            "training": settings_text(run.training),
            "training seed": str(run.train_seed),
            "begun": f"{run.created_utc:%Y-%m-%d %H:%M} UTC",
            **({"ended": f"{run.finished_utc:%Y-%m-%d %H:%M} UTC"} if run.finished_utc else {}),
            "code": _code(run),
            "made on": "; ".join(map(settings_text, every_place(run.provenance))),
            "folder": run.folder,
        },
        "command": again.command,
        "remarks": list(again.remarks),
        "curves": curves(run.epochs),
        "seconds": round(sum(epoch.duration_s for epoch in run.epochs), 1),
        "machine": machine_of(run),
        "checkpoints": [_checkpoint(checkpoint, labels, verdicts, order) for checkpoint in run.checkpoints],
    }


def attack_order(protocols: Sequence[ProtocolRecord]) -> list[str]:
    """Attacks in the order of the newest protocols: weakest first."""
    return list(dict.fromkeys(attack for protocol in reversed(protocols) for attack in protocol.attacks))


def model_document(
    model: ModelRecord, labels: Labels | None, verdicts: Verdicts, protocols: Sequence[ProtocolRecord]
) -> Document:
    """Everything about a model from elsewhere."""
    order = attack_order(protocols)
    return {
        "id": model.id,
        "label": model.name,
        "network": model.network,
        "dataset": model.dataset.name,
        "facts": {
            "model": f"{model.name} (not trained by harness)",
            "network": _with(model.network, model.network_settings) + f", {model.parameters:,} parameters",
            "data set": _dataset(model),
            "entered": f"{model.created_utc:%Y-%m-%d %H:%M} UTC",
            "normalisation": str(model.provenance.get("normalisation", "none put inside")),
            "code": ", ".join(model.code) or "none of the user's",
            "origin": settings_text(model.provenance),
        },
        "curves": None,
        "checkpoints": [_checkpoint(model.checkpoint, labels, verdicts, order)],
    }


def settings_text(values: Mapping[str, Any]) -> str:
    """``steps=20 epsilon=8/255``: settings in one line."""
    return " ".join(f"{key}={_value(key, value)}" for key, value in values.items())


def _value(key: str, value: Any) -> str:
    if isinstance(value, float):
        return radius_text(value) if key == "epsilon" else f"{value:.6g}"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


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
    step = math.ceil(len(epochs) / MOST_POINTS)
    kept = [*epochs[:-1][::step], epochs[-1]]
    names = dict.fromkeys(name for epoch in kept for name in epoch.diagnostics)
    series = {"loss": [epoch.loss for epoch in kept], "lr": [epoch.lr for epoch in kept]}
    series |= {name: [epoch.diagnostics.get(name, math.nan) for epoch in kept] for name in names}
    rounded = {name: [float(f"{value:.{DIGITS}g}") for value in values] for name, values in series.items()}
    return {"epochs": [epoch.epoch for epoch in kept], "step": step, "series": rounded}


def _checkpoint(
    checkpoint: CheckpointRecord, labels: Labels | None, verdicts: Verdicts, order: Sequence[str]
) -> Document:
    return {
        "name": checkpoint.name,
        "epoch": checkpoint.epoch,
        "sha256": checkpoint.sha256[:12],
        "attacks": [_attack(group, labels, verdicts) for group in _groups(checkpoint.evaluations, order)],
        "radii": list(radius_curves(checkpoint.evaluations)),
        "classes": None if labels is None else list(labels.names),
        "examinations": [
            {
                "about": f"of the {e.settings['kind']}, {settings_text(_where(e.settings))}",
                "findings": [
                    [f.check, f.status, f.mark, f.reason, None if f.threshold is None else f"{f.threshold:g}"]
                    for f in e.findings
                ],
            }
            for e in checkpoint.examinations
        ],
    }


def _where(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: settings[key] for key in ("epsilon", "norm", "examples") if key in settings}


def _groups(evaluations: Sequence[EvaluationRecord], order: Sequence[str]) -> list[list[EvaluationRecord]]:
    """Evaluations that differ in the attack seed alone, in the order of the seeds; attacks in the order given."""
    places = {attack: place for place, attack in enumerate(order)}
    found: dict[tuple[object, ...], list[EvaluationRecord]] = {}
    for e in evaluations:
        found.setdefault((e.attack, e.settings_sha256, e.images), []).append(e)
    groups = [sorted(group, key=lambda e: e.seed) for group in found.values()]
    return sorted(groups, key=lambda group: places.get(group[0].attack, len(places)))


def _attack(group: Sequence[EvaluationRecord], labels: Labels | None, verdicts: Verdicts) -> Document:
    one = group[0]
    complete = [e for e in group if e.complete]
    figure = summarise([[e.percent for e in complete]])
    return {
        "attack": one.attack,
        "settings": settings_text(one.settings),
        "images": one.examples,
        "sample": one.sample,
        "figure": "-" if figure is None else plus_minus(figure.median, figure.std),
        "interval": "" if figure is None else interval_text(wilson(figure.median, one.examples)),
        "seeds": [[e.seed, e.correct, e.done, round(e.duration_s, 1)] for e in group],
        "warnings": list(dict.fromkeys(text for e in group for text in e.warnings)),
        "classes": None if labels is None or not complete else by_class(complete, labels, verdicts),
    }


def by_class(complete: Sequence[EvaluationRecord], labels: Labels, verdicts: Verdicts) -> list[list[int]]:
    """For each class, the images that are right under every attack seed, and all images."""
    robust = robust_under_every([verdicts[e.id] for e in complete])
    counts = [[0, 0] for _ in labels.names]
    for verdict, place in zip(robust, complete[0].images.places(labels.labels), strict=True):
        counts[labels.labels[place]][0] += verdict
        counts[labels.labels[place]][1] += 1
    return counts


def radius_curves(evaluations: Sequence[EvaluationRecord]) -> Iterator[Document]:
    """Robust accuracy against epsilon, for each attack that was made at several radii with settings alike otherwise.

    A step size that grows with the radius is alike. Natural accuracy on the same images is the point at 0.
    """
    found: dict[tuple[str, Images, str], dict[float, list[EvaluationRecord]]] = {}
    for e in evaluations:
        if e.complete and "epsilon" in e.settings:
            radius = float(e.settings["epsilon"])
            found.setdefault((e.attack, e.images, _alike(e.settings, radius)), {}).setdefault(radius, []).append(e)
    natural = {e.images: e for e in evaluations if e.attack == "natural" and e.complete}
    for (attack, images, _), by_radius in found.items():
        if len(by_radius) > 1:
            clean = {0.0: [natural[images]]} if images in natural and 0.0 not in by_radius else {}
            yield {
                "attack": attack,
                "norm": next(iter(by_radius.values()))[0].settings.get("norm", LINF),
                "images": images.count,
                "points": [_point(radius, group) for radius, group in sorted((clean | by_radius).items())],
            }


def _alike(settings: Mapping[str, Any], radius: float) -> str:
    """The settings without the radius, and with the step size as a fraction of it."""
    rest = {key: value for key, value in settings.items() if key not in ("epsilon", "step_size")}
    if "step_size" in settings and radius > 0:
        rest["step"] = f"{settings['step_size'] / radius:.6g}"
    return settings_text(rest)


def _point(radius: float, group: Sequence[EvaluationRecord]) -> list[Any]:
    """Radius, its text, the median over attack seeds, and its interval over test images."""
    figure = summarise([[e.percent for e in group]])
    assert figure is not None
    over = wilson(figure.median, group[0].examples)
    return [radius, radius_text(radius), figure.median, over.low, over.high, len(group)]
