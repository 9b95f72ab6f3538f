"""The plan that a progress display gets: every item of work, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
    for gap, record in to_train:
        spec, price = gap.spec, prices.training(gap)
        alike = digest([spec.method, spec.method_settings, spec.network, spec.network_settings, list(spec.wrappers)])
        item = _item(training_key(record.id), "training", spec.label, alike, price)
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
            for _, length in gap.blocks:
                price = prices.attack(model, gap.attack, length)
                alike = _alike(model, gap.attack)
                items.append(_item(f"later {len(items)}", f"{gap.attack}, seed {gap.seed}", label, alike, price))
    return Phase(tuple(items), workers)


def block_item(work: BlockWork, model: ModelGap, prices: Prices) -> PlannedItem:
    """The attack on one block."""
    what, label = f"{work.attack}, seed {work.seed}", f"{work.weights.label} {work.weights.checkpoint}"
    price = prices.attack(model, work.attack, work.length)
    return _item(work.key, what, label, _alike(model, work.attack), price)


def examination_key(checkpoint_id: int, model: ModelGap) -> str:
    """The key of a model's examination."""
    return checks_key(checkpoint_id, model.assessment.examination("model"))


def checks_item(key: str, label: str, model: ModelGap, prices: Prices) -> PlannedItem:
    """The examination of a model."""
    return _item(key, "checks of rigour", label, digest(["checks", *model.network]), prices.checks(model))


def _alike(model: ModelGap, attack: str) -> str:
    """Equal for blocks that take equally long for an image: one attack with its settings, on one kind of network."""
    return digest([*model.network, attack, model.assessment.attack_settings(attack)])


def _item(key: str, what: str, label: str, alike: str, price: Price) -> PlannedItem:
    seconds = price.seconds[0] if price.seconds is not None else None
    return PlannedItem(key, what, label, alike, price.images, price.passes.total, seconds)
