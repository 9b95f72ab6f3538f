"""Which accuracies a training records: after which epochs, by which attacks, at which cost."""

from __future__ import annotations

import pytest

from harness.planning.cost import Prices
from harness.planning.curve_plan import CurvePlan, plan_curve
from harness.planning.missing import find_missing
from harness.plugin.attack import Passes
from harness.store.store import Store
from tests.harness.planning.asked import job, jobs

SMALL, LARGE = 999_999, 1_000_000


def plan(*values: str, every: int | None = None, parameters: int = SMALL) -> CurvePlan | None:
    return plan_curve(job(*values), every, parameters)


def epochs(found: CurvePlan | None) -> list[int]:
    assert found is not None
    return [epoch for epoch in range(1, found.epochs + 1) if found.due(epoch)]


@pytest.mark.parametrize(
    ("of", "every", "expected"),
    [
        (20, None, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]),
        (25, None, [3, 6, 9, 12, 15, 18, 21, 24, 25]),
        (4, None, [1, 2, 3, 4]),
        (1, None, [1]),
        (7, 3, [3, 6, 7]),
        (7, 100, [7]),
    ],
)
def test_after_which_epochs(of: int, every: int | None, expected: list[int]) -> None:
    assert epochs(plan(f"epochs={of}", every=every)) == expected


def test_a_large_network_is_measured_only_if_that_is_asked_for() -> None:
    assert plan(parameters=LARGE) is None
    assert plan(every=0) is None
    assert epochs(plan("epochs=4", every=2, parameters=LARGE)) == [2, 4]


def test_the_cheap_attacks_of_the_protocol_with_the_settings_of_an_evaluation() -> None:
    asked = job()
    found = plan_curve(asked, 1, SMALL)
    assert found is not None
    assert {used.name: used.identity for used in found.attacks} == {
        name: asked.attack_settings(name) for name in ("natural", "pgd", "cw")
    }
    assert found.threat == asked.threat
    few = plan("evaluation.attacks=pgd,autoattack", every=1)
    assert few is not None
    assert [used.name for used in few.attacks] == ["pgd"]
    assert plan("evaluation.attacks=autoattack", every=1) is None
    assert plan("evaluation.attacks=pgd,autoattack", "evaluation.steps=51", every=1) is None  # 102 passes an image


def test_its_passes_by_hand_are_part_of_the_training() -> None:
    """20 epochs, a point after every fifth: 4 points on 128 + 128 images, PGD and CW of 20 steps, three verdicts."""
    found = plan_curve(job(), 5, SMALL)
    assert found is not None
    assert found.passes == Passes(43, 40)
    assert found.passes_after(0, (360, 1437)) == Passes(43, 40).times(4 * 256)
    assert found.passes_after(11, (100, 1437)) == Passes(43, 40).times(2 * 228)
    store = Store.in_memory()
    whole, plain = (Prices([], []).training(find_missing(jobs(eval_every=n), store).runs[0]) for n in (5, 0))
    store.close()
    assert whole.passes == plain.passes + Passes(43, 40).times(4 * 256)
