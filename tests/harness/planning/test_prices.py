"""Equal work is priced once, and different work apart; networks that the store lacks share what they lack."""

from __future__ import annotations

from harness.planning.cost import Prices, estimate
from harness.planning.missing import find_missing
from harness.plugin.attack import Passes
from harness.store.store import Store
from tests.harness.planning.asked import job

SHORT = ("evaluation.attacks=natural,pgd", "evaluation.steps=3", "train.epochs=2")
LONG = ("evaluation.attacks=natural,pgd", "evaluation.steps=7", "train.epochs=4")


def test_each_assessment_has_its_own_prices() -> None:
    short, long = find_missing([job(*SHORT), job(*LONG)], Store.in_memory()).runs
    prices = Prices([], [])
    for _ in range(2):  # the second time they are known
        for gap, steps, epochs in ((short, 3, 2), (long, 7, 4)):
            (model,) = gap.models
            # a forward and a backward pass each step, and the evaluator's own forward pass
            assert prices.attack(model, "pgd", 10).passes == Passes(10 * (steps + 1), 10 * steps)
            assert prices.attack(model, "pgd", 20).images == 20
            assert prices.attack(model, "natural", 10).passes == Passes(10, 0)
            assert prices.training(gap).images == epochs * 1437
            assert prices.checks(model) == Prices([], []).checks(model)
    names = {prices.alike(gap.models[0], attack) for gap in (short, long) for attack in ("natural", "pgd")}
    assert len(names) == 3  # natural accuracy does not depend on the steps


def test_networks_that_the_store_lacks_share_their_gaps_and_cost_as_much_as_each_alone() -> None:
    several = find_missing([job(*SHORT, train_seeds=5)], Store.in_memory())
    assert len({id(model) for run in several.runs for model in run.models}) == 1
    assert len({run.spec.identity for run in several.runs}) == 5
    one, all_five = find_missing([job(*SHORT)], Store.in_memory()), estimate(several, [])
    alone = estimate(one, [])
    assert all_five.training == alone.training.times(5)
    assert all_five.evaluation == alone.evaluation.times(5)
    assert several.items == 5 * one.items
