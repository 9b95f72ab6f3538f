"""The plan that a progress display gets: every item of work, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from harness.events import Phase, PlannedItem, checks_key, training_key
from harness.execution.executors.executor import Executor
from harness.execution.work import BlockWork
from harness.identity import digest
from harness.planning.cost import Price, Prices
from harness.planning.gaps import ModelGap
from harness.planning.missing import RunGap
from harness.runtime.device import training_threads
from harness.store.records import RunRecord


def training_phases(
    to_train: Sequence[tuple[RunGap, RunRecord]], prices: Prices, executor: Executor
) -> Iterator[Phase]:
    """The trainings, as ``Trainings`` has them performed."""
    together: list[PlannedItem] = []
    alone: list[PlannedItem] = []
    of_jobs: dict[int, str] = {}  # the specs of a job differ in the training seed alone
    for gap, record in to_train:
        spec, price = gap.spec, prices.training(gap)
        if id(gap.job) not in of_jobs:
            parts = [spec.method, spec.method_settings, spec.network, spec.network_settings, list(spec.wrappers)]
            of_jobs[id(gap.job)] = digest(parts)
        item = _item(training_key(record.id), "training", spec.label, of_jobs[id(gap.job)], price)
        large = training_threads(gap.job.parameters, gap.job.device) > 1
        (alone if large and executor.whole_machine else together).append(item)
    if together:
        yield Phase(tuple(together), executor.workers)
    yield from (Phase((item,), 1) for item in alone)


def later_phase(models: Iterable[tuple[str, ModelGap]], prices: Prices, workers: int) -> Phase:
    """What will be attacked after the trainings, each model with its label; nobody works on these items yet."""
    items: list[PlannedItem] = []
    for label, model in models:
        items += [checks_item(f"later {len(items)}", label, model, prices)] if model.examine else []
        for gap in model.attacks:
            alike, what = prices.alike(model, gap.attack), _what(gap.attack, gap.seed)
            for _, length in gap.blocks:
                price = prices.attack(model, gap.attack, length)
                items.append(_item(f"later {len(items)}", what, label, alike, price))
    return Phase(tuple(items), workers)


def block_item(work: BlockWork, model: ModelGap, prices: Prices) -> PlannedItem:
    """The attack on one block."""
    what, label = _what(work.attack, work.seed), f"{work.weights.label} {work.weights.checkpoint}"
    price = prices.attack(model, work.attack, work.length)
    return _item(work.key, what, label, prices.alike(model, work.attack), price)


def examination_key(checkpoint_id: int, model: ModelGap) -> str:
    """The key of a model's examination."""
    return checks_key(checkpoint_id, model.assessment.examination("model"))


def checks_item(key: str, label: str, model: ModelGap, prices: Prices) -> PlannedItem:
    """The examination of a model."""
    return _item(key, "checks of rigour", label, digest(["checks", *model.network]), prices.checks(model))


@cache
def _what(attack: str, seed: int) -> str:
    """What a block is called: one text, which all models share."""
    return f"{attack}, seed {seed}"


def _item(key: str, what: str, label: str, alike: str, price: Price) -> PlannedItem:
    seconds = price.seconds[0] if price.seconds is not None else None
    return PlannedItem(key, what, label, alike, price.images, price.passes.total, seconds)
