"""The plan that a progress display gets: every item of work, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from harness.events import Ended, Event, Phase, Planned, PlannedItem, Report, checks_key, training_key
from harness.execution.work import BlockWork
from harness.identity import digest
from harness.planning.cost import Price, Prices
from harness.planning.gaps import ModelGap
from harness.planning.missing import RunGap
from harness.store.records import RunRecord


class Plan:
    """What is left to do. All events of a command go through it, to ``listen``, so that it knows what has ended.

    The keys of a network's attacks are known once it is trained: before, its items have keys of the plan alone.
    """

    def __init__(self, listen: Report, prices: Prices) -> None:
        self._listen, self._prices = listen, prices
        self._first: dict[str, PlannedItem] = {}
        self._items: dict[str, PlannedItem] = {}
        self._later: dict[int, list[PlannedItem]] = {}
        self._alike: dict[int, str] = {}  # the trainings of a job differ in the seed alone

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, Ended):
            self._first.pop(event.key, None)
            self._items.pop(event.key, None)
        self._listen(event)

    def train(self, gap: RunGap, record: RunRecord, *, first: bool) -> None:
        """Add a training.

        Args:
            first: whether it is done before all that is done side by side, with no other item beside it.
        """
        spec = gap.spec
        if id(gap.job) not in self._alike:
            parts = [spec.method, spec.method_settings, spec.network, spec.network_settings, list(spec.wrappers)]
            self._alike[id(gap.job)] = digest(parts)
        key, alike = training_key(record.id), self._alike[id(gap.job)]
        item = _item(key, "training", spec.label, alike, self._prices.training(gap))
        (self._first if first else self._items)[key] = item

    def attack_later(self, run_id: int, label: str, models: Iterable[ModelGap]) -> None:
        """Add what is done once a network is trained."""
        items = self._later[run_id] = []
        for model in models:
            key = f"later {run_id} {len(items)}"
            items += [checks_item(key, label, model, self._prices)] if model.examine else []
            for gap in model.attacks:
                alike, what = self._prices.alike(model, gap.attack), _what(gap.attack, gap.seed)
                for _, length in gap.blocks:
                    price = self._prices.attack(model, gap.attack, length)
                    items.append(_item(f"later {run_id} {len(items)}", what, label, alike, price))

    def forget_later(self, run_id: int) -> None:
        """Leave out what was to be done later with a network: it has keys now, or the network cannot be trained."""
        self._later.pop(run_id, None)

    def attack(self, items: Iterable[PlannedItem]) -> None:
        """Add items whose keys are known."""
        self._items |= {item.key: item for item in items}

    def say(self, workers: int) -> None:
        """Tell what is left: first each item alone, then all others side by side."""
        alone = (Phase((item,), 1) for item in self._first.values())
        later = (item for items in self._later.values() for item in items)
        beside = Phase((*self._items.values(), *later), workers)
        self._listen(Planned((*alone, *([beside] if beside.items else []))))


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
