"""What all trackers call a figure, so that one run looks alike in each of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import legible
from harness.events import EpochRecord, Histogram
from harness.trackers.outcomes import EvaluationDone


def scalars(record: EpochRecord) -> dict[str, float]:
    """The numbers of an epoch. The accuracies of the recorded curve are in percent."""
    found = {
        "train/loss": record.loss,
        "train/lr": record.lr,
        "train/images_per_s": record.images / record.duration_s,
    }
    found |= {key_of("diagnostics", name): value for name, value in record.diagnostics.items()}
    for point in record.curve:
        found[key_of("curve", point.part, point.attack)] = 100.0 * point.correct / point.images
    return found


def key_of(*names: str) -> str:
    """The key of names, the widest first: what acts or hides is an escape, and no two keys become one.

    The last name keeps its slashes, by which trackers make groups: a method may log ``loss/adversarial``.
    """
    *groups, last = map(legible, names)
    return "/".join([*(group.replace("/", r"\x2f") for group in groups), last])


def edges(histogram: Histogram) -> list[float]:
    """The limits of a histogram's bins, which are equally wide: one more than there are counts."""
    bins = len(histogram.counts)
    step = (histogram.high - histogram.low) / bins
    return [*(histogram.low + i * step for i in range(bins)), histogram.high]


def accuracy_key(evaluation: EvaluationDone) -> str:
    """The name of an accuracy, without its seed."""
    return key_of("accuracy", evaluation.checkpoint, evaluation.attack)


def seed_key(evaluation: EvaluationDone) -> str:
    """The name of an accuracy with its seed, where each name holds one number: no seed passes for the median."""
    return key_of("accuracy", evaluation.checkpoint, evaluation.attack, f"seed {evaluation.seed}")


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings without nesting, for trackers that know none: ``training.lr`` -> ``0.1``. Lists are JSON."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
