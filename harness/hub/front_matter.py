"""The head of a model card, which the Hub reads: licence, tags, and every figure as a result of ``model-index``.

It is written as YAML by huggingface_hub, which quotes what YAML would read otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harness.errors import legible, visible
from harness.hub.extra import import_huggingface_hub
from harness.hub.facts import CardFacts, CardFigure
from harness.hub.names import HUB_DATASETS
from harness.leaderboard.columns import title_of

_TASK = "image-classification"
_TAG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def front_matter(facts: CardFacts) -> str:
    """The YAML between the two lines ``---`` at the beginning of a card.

    Raises:
        HarnessError: huggingface_hub is not installed.
    """
    hub = import_huggingface_hub()
    dataset = facts.run.dataset
    of_dataset = {
        "task_type": _TASK,
        "task_name": "Image classification",
        "dataset_type": HUB_DATASETS.get(
            dataset.name, re.sub(r"[^A-Za-z0-9]+", "-", dataset.name).strip("-") or "images"
        ),
        "dataset_name": visible(dataset.name),
        "dataset_split": "test",
        "dataset_args": {"fingerprint": dataset.fingerprint},
    }
    data = hub.ModelCardData(
        license=facts.licence,
        library_name="robustness-harness",
        pipeline_tag=_TASK,
        tags=list(_tags(facts)),
        datasets=[HUB_DATASETS[dataset.name]] if dataset.name in HUB_DATASETS else None,
        metrics=["accuracy"],
        model_name=visible(facts.run.spec.label),
        eval_results=[
            hub.EvalResult(**of_dataset, metric_type="accuracy", **_metric(figure, dataset.test_examples))
            for figure in facts.figures
        ],
    )
    return str(data.to_yaml())


def _tags(facts: CardFacts) -> Iterator[str]:
    yield from ("adversarial-robustness", "adversarial-training", "pytorch", "safetensors")
    names = dict.fromkeys([facts.run.method, *(wrapper["name"] for wrapper in facts.run.wrappers)])
    yield from (name for name in names if _TAG.fullmatch(name))


def _metric(figure: CardFigure, total: int) -> dict[str, Any]:
    """A figure as the Hub keeps it: its value is the median, in percent, with all its digits.

    Args:
        total: the data set's number of test images.
    """
    board = figure.board
    attack = title_of(figure.column)
    seeds = ", ".join(f"{legible(name)} {n}" for name, n in figure.seeds.items())
    under = f"protocol {visible(board.protocol)} [{board.fingerprint[:8]}]" if board is not None else "no protocol"
    arguments = {
        "attack": legible(figure.column),
        "attack_seeds": {legible(name): n for name, n in figure.seeds.items()},
        "standard_deviation": figure.figure.std,
        "interval": {"kind": "wilson", "level": 0.95, "low": figure.interval.low, "high": figure.interval.high},
        "test_images": figure.images.count,
        "sample": visible(figure.images.sample),
        "epsilon": figure.epsilon,
        "norm": None if figure.norm is None else visible(figure.norm),
        "protocol": None if board is None else visible(board.protocol),
        "protocol_fingerprint": None if board is None else board.fingerprint,
        "unit": "percent",
    }
    return {
        "metric_value": figure.figure.median,
        "metric_name": f"{attack}: right, % of {figure.images.described(total)}; attack seeds: {seeds}; {under}",
        "metric_args": arguments,
    }
