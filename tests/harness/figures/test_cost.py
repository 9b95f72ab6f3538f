"""Robust accuracy against cost: passes as the methods make them, or seconds on one machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.events import EpochRecord
from harness.figures.cost import COST
from harness.figures.material import Material
from harness.protocols.protocol import load_protocol
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made

STEPS = 7
TRAINING = load_protocol("digits").with_values({"train.epochs": 4, "train.steps": STEPS}).training_document
PLACE = {"host": "here", "device": "cpu"}


def train(
    store: Store,
    method: str,
    seconds: float,
    *,
    seed: int = 0,
    checkpoint: int = 4,
    network: str = "smallcnn",
    **place: Any,
) -> None:
    """A run of four epochs that took so many seconds each, attacked."""
    spec = stores.make_spec(method=method, training=TRAINING, train_seed=seed, network=network)
    run = stores.start(store, spec, provenance=PLACE | place)
    for epoch in range(1, 5):
        store.add_epoch(run.id, EpochRecord(epoch, 1.0, 0.1, run.dataset.train_examples, seconds))
    kept = stores.add_checkpoint(store, run, epoch=checkpoint)
    store.end_run(run.id)
    stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], stores.right(20, 40))


@pytest.fixture
def store() -> Store:
    store = Store.in_memory()
    stores.see_protocol(store, {"pgd": made.SETTINGS["pgd"]}, TRAINING)
    return store


def seconds(store: Store, **choices: Any) -> Material:
    return replace(made.material(store, **choices), cost="seconds")


def test_passes_are_those_of_the_textbook(store: Store) -> None:
    train(store, "standard", 1.0)
    train(store, "sat", 1.0)
    costs = {m["row"]: m["cost"] for m in COST.data(made.material(store)).rows}
    # an update takes a forward and a backward pass of each image; each step of PGD takes both as well
    assert costs == {"standard": 4 * 2, "sat": 4 * (2 + 2 * STEPS)}


def test_an_earlier_checkpoint_cost_less(store: Store) -> None:
    train(store, "sat", 1.5, checkpoint=3)
    assert COST.data(seconds(store)).only("cost") == pytest.approx(3 * 1.5)
    assert COST.data(made.material(store)).only("cost") == 3 * (2 + 2 * STEPS)


def test_seconds_are_the_mean_and_the_range_over_networks(store: Store) -> None:
    for seed, each in enumerate((1.0, 2.0, 6.0)):
        train(store, "sat", each, seed=seed)
    (mark,) = COST.data(seconds(store)).rows
    assert (mark["cost"], mark["cost_low"], mark["cost_high"]) == (12.0, 4.0, 24.0)
    with made.drawn(COST, COST.data(seconds(store))) as canvas:
        (axes,) = canvas.axes
        assert made.points(axes) == [(12.0, 50.0)]
        assert made.across(axes)[0] == (4.0, 24.0)
        assert [text.get_text() for text in axes.texts if text.get_text()] == ["sat"]


def test_seconds_of_two_machines_are_refused_and_passes_are_not(store: Store) -> None:
    train(store, "sat", 1.0)
    train(store, "standard", 1.0, host="there")
    with pytest.raises(HarnessError, match="cpu of here; cpu of there; draw --cost passes"):
        COST.data(seconds(store))
    assert len(COST.data(made.material(store)).rows) == 2
    assert len(COST.data(seconds(store, methods=("sat",))).rows) == 1


def test_a_training_that_went_on_elsewhere_is_of_two_machines(store: Store) -> None:
    train(store, "sat", 1.0, also=[{"host": "here", "device": "cuda"}])
    with pytest.raises(HarnessError, match="cpu of here; cuda of here"):
        COST.data(seconds(store))


def test_seconds_of_two_numbers_of_threads_are_refused(store: Store) -> None:
    train(store, "sat", 1.0, threads=1)
    train(store, "standard", 1.0, threads=2)
    with pytest.raises(HarnessError, match="cpu of here, threads: 1; cpu of here, threads: 2; draw --cost passes"):
        COST.data(seconds(store))


def test_costs_of_two_networks_are_refused(store: Store) -> None:
    train(store, "sat", 1.0)
    train(store, "sat", 1.0, seed=1, network="resnet18")
    with pytest.raises(HarnessError, match=r"costs of two networks cannot be compared: resnet18, smallcnn; .*--arch"):
        COST.data(made.material(store))
    assert len(COST.data(made.material(store, network="smallcnn")).rows) == 1


def test_a_network_that_was_not_attacked_costs_nothing_here(store: Store) -> None:
    train(store, "sat", 1.0)
    other = stores.start(store, stores.make_spec(training=TRAINING, train_seed=1), provenance=PLACE)
    store.add_epoch(other.id, EpochRecord(1, 1.0, 0.1, 100, 50.0))
    stores.add_checkpoint(store, other, epoch=1)
    store.end_run(other.id)
    assert COST.data(seconds(store)).only("cost") == 4.0


def test_a_lost_epoch_leaves_the_cost_unknown(store: Store) -> None:
    spec = stores.make_spec(training=TRAINING)
    run = stores.start(store, spec, provenance=PLACE)
    store.add_epoch(run.id, EpochRecord(4, 1.0, 0.1, 100, 1.0))
    kept = stores.add_checkpoint(store, run, epoch=4)
    store.end_run(run.id)
    stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], stores.right(20, 40))
    with pytest.raises(HarnessError, match="run 1 has no record of some of its epochs"):
        COST.data(seconds(store))
