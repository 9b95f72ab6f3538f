"""What figures draw where one training seed collapsed: the median and the ends, and no mean."""

from __future__ import annotations

import statistics

import pytest

from harness.figures.accuracies import COLLAPSED, TEST_IMAGES, TRAINING_SEEDS, accuracy_of, over_text
from harness.figures.marks import Marks
from harness.figures.methods import METHODS
from harness.figures.recorded_epochs import recorded_accuracies
from harness.figures.trade_off import TRADE_OFF
from harness.leaderboard.contestants import contestants
from harness.store.records import Curve
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made
from tests.harness.leaderboard.held import evaluation, run

IMAGES = 200


@pytest.fixture
def fallen() -> Store:
    """``sat`` has three seeds of which the last has 3 % under PGD; ``trades`` has three that stand."""
    store = Store.read("sqlite://")
    stores.see_protocol(store, made.SETTINGS, made.TRAINING)
    for method, counts in {"sat": (96, 92, 6), "trades": (80, 84, 82)}.items():
        for seed, count in enumerate(counts):
            run = stores.start(store, stores.make_spec(method=method, training=made.TRAINING, train_seed=seed))
            kept = stores.add_checkpoint(store, run)
            store.end_run(run.id)
            for attack, settings in made.SETTINGS.items():
                right = stores.right(190 if attack == "natural" else count, IMAGES)
                stores.add_evaluation(store, kept, attack, settings, right)
    return store


def test_a_row_with_a_collapsed_seed_has_its_median_and_ends(fallen: Store) -> None:
    marks = METHODS.data(made.material(fallen))
    (sat,) = marks.where(row="sat", attack="pgd", mark="mean")
    assert [sat[name] for name in ("value", "low", "high", "over", "n")] == [46.0, 3.0, 48.0, COLLAPSED, 3]
    (trades,) = marks.where(row="trades", attack="pgd", mark="mean")
    assert (trades["value"], trades["over"]) == (41.0, TRAINING_SEEDS)
    (spot,) = TRADE_OFF.data(made.material(fallen)).where(row="sat")
    assert (spot["robust_value"], spot["natural_value"], spot["natural_over"]) == (46.0, 95.0, COLLAPSED)


def test_the_caption_says_so(fallen: Store) -> None:
    told = over_text(METHODS.data(made.material(fallen)))
    assert told == (
        "95 % intervals over 3 training seeds; where a seed collapsed, the median, the least, and the greatest of 3"
        " networks"
    )
    alone = METHODS.data(made.material(fallen, methods=("sat",)))
    assert over_text(alone) == "where a seed collapsed, the median, the least, and the greatest of 3 networks"
    with made.drawn(METHODS, METHODS.data(made.material(fallen))):
        pass  # it can be drawn


def test_networks_by_themselves() -> None:
    found = accuracy_of([48.0, 46.0, 3.0], IMAGES, 10)
    assert (found.value, found.low, found.high, found.unit, found.n) == (46.0, 3.0, 48.0, COLLAPSED, 3)
    none = accuracy_of([1.0, 2.0, 0.0], IMAGES, 10)  # of a method without robustness
    assert (none.value, none.unit) == (statistics.fmean([1.0, 2.0, 0.0]), TRAINING_SEEDS)
    assert accuracy_of([3.0], IMAGES, 10).unit == TEST_IMAGES


def test_marks_without_such_a_row_are_as_before() -> None:
    marks = Marks.of([{"over": TRAINING_SEEDS, "n": 5}, {"over": TEST_IMAGES, "n": 360}])
    assert over_text(marks) == "95 % intervals over 5 training seeds or 360 test images"


def test_a_recorded_epoch_says_whether_its_value_is_a_median() -> None:
    """Three networks, two epochs of 200 images: 60, 62, and 64 right; then 96, 92, and 6."""
    counts = {1: (60, 96), 2: (62, 92), 3: (64, 6)}

    class Curves(Store):
        def curves(self, number: int) -> list[Curve]:
            return [Curve("test", "pgd", {}, "key", IMAGES, tuple(enumerate(counts[number], 1)))]

    store = Curves.read("sqlite://")
    networks = list(contestants([run(number, evaluation("pgd", 90), train_seed=number) for number in counts]))
    points = [*recorded_accuracies(store, {"pgd": "key"}, "pgd", networks)]
    assert [(p["epoch"], p["value"], p["over"], p["n"]) for p in points] == [
        (1, 31.0, TRAINING_SEEDS, 3),
        (2, 46.0, COLLAPSED, 3),
    ]
