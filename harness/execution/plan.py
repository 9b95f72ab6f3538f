"""The plan that a progress display gets: every item of work, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import count

from harness.events import Phase, Planned, PlannedItem, Replanned, Report, checks_key, training_key
from harness.execution.work import BlockWork
from harness.identity import digest
from harness.planning.cost import Price, Prices
from harness.planning.gaps import ModelGap
from harness.planning.missing import RunGap
from harness.store.records import RunRecord


class Plan:
    """What is left to do, told before the work begins; and what else becomes known in its course.

    The keys of a network's attacks are known once it is trained. Before, its items have keys of the plan alone.
    """

    def __init__(self, listen: Report, prices: Prices) -> None:
        self._listen, self._prices = listen, prices
        self._alone: list[PlannedItem] = []
        self._beside: list[PlannedItem] = []
        self._after: list[PlannedItem] = []
        self._later: dict[int, tuple[str, ...]] = {}  # keys of what is done with a run's network once it is trained
        self._alike: dict[int, str] = {}  # the trainings of a job differ in the seed alone

    def train(self, gap: RunGap, record: RunRecord, *, alone: bool) -> None:
        """Add a training, and what is done with its network afterwards.

        Args:
            alone: whether the training comes before all that is done side by side, with no other item beside it.
        """
        spec = gap.spec
        if id(gap.job) not in self._alike:
            parts = [spec.method, spec.method_settings, spec.network, spec.network_settings, list(spec.wrappers)]
            self._alike[id(gap.job)] = digest(parts)
        key, alike = training_key(record.id), self._alike[id(gap.job)]
        item = _item(key, "training", spec.label, alike, self._prices.training(gap))
        (self._alone if alone else self._beside).append(item)
        later = list(self._attacks_on(gap, record.id))
        self._later[record.id] = tuple(item.key for item in later)
        self._after.extend(later)

    def attack(self, items: Iterable[PlannedItem]) -> None:
        """Add attacks and examinations of networks that are trained."""
        self._beside.extend(items)

    def say(self, workers: int) -> None:
        """Tell the plan: first each item that is done alone, then all others side by side."""
        alone = (Phase((item,), 1) for item in self._alone)
        self._listen(Planned((*alone, Phase((*self._beside, *self._after), workers))))
        self._alone, self._beside, self._after = [], [], []

    def attack_now(self, run_id: int, items: Sequence[PlannedItem]) -> None:
        """Tell what is done with a run's network, now that its training is over; nothing if it failed."""
        self._listen(Replanned(self._later.pop(run_id, ()), tuple(items)))

    def forget(self, keys: Iterable[str]) -> None:
        """Tell that these items are not done, and no network's that is not trained yet."""
        later = (key for keys in self._later.values() for key in keys)
        self._listen(Replanned((*keys, *later), ()))
        self._later.clear()

    def _attacks_on(self, gap: RunGap, run_id: int) -> Iterator[PlannedItem]:
        """What is done with a network that is not trained yet."""
        numbers, label = count(), gap.spec.label
        for model in gap.models:
            if model.examine:
                yield checks_item(f"later {run_id} {next(numbers)}", label, model, self._prices)
            for attack in model.attacks:
                alike, what = self._prices.alike(model, attack.attack), _what(attack.attack, attack.seed)
                for _, length in attack.blocks:
                    price = self._prices.attack(model, attack.attack, length)
                    yield _item(f"later {run_id} {next(numbers)}", what, label, alike, price)


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
