"""How long the work will take on a machine that has run nothing, but was measured by ``harness bench``."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.planning.cost import BENCH as BENCHED
from harness.planning.cost import BENCH_PASSES, STORED, STORED_PASSES, Estimate, Known, estimate
from harness.planning.measured_times import Bench, Timed
from harness.planning.missing import find_missing
from harness.planning.stored_times import Timings
from harness.plugin.attack import Passes
from harness.rigour import budgets
from harness.runtime.provenance import host
from harness.store.store import Store
from tests.harness.planning.carried import IMAGES, add_blocks, add_epochs, jobs, places, start


def timed(seconds: float, forward: int, backward: int, measured: bool = True) -> Timed:
    return Timed(seconds=seconds, passes=Passes(forward, backward), measured=measured)


BENCH = Bench(
    host=host(),
    device="cpu",
    network="smallcnn",
    network_settings={"width": 16},
    image=(1, 8, 8),
    precision="float32",
    plain=False,
    training={"sat": timed(0.022, 11, 11), "standard": timed(0.004, 1, 1)},  # 1 ms a pass, and 2
    attacks={"natural": timed(0.001, 1, 0), "pgd": timed(0.082, 21, 20), "cw": timed(0.041, 21, 20, measured=False)},
    measured_utc="2026-11-29T12:00:00+00:00",
    beside={},
)
NATURAL, PGD, CW = 360 * 0.001, 2 * 360 * 0.082, 2 * 360 * 0.041  # two seeds


def cost(store: Store, *values: str, bench: Bench = BENCH, **changes: Any) -> Estimate:
    return estimate(find_missing(jobs(*values, **changes), store), [bench])


def test_a_new_machine_tells_seconds_by_hand(store: Store) -> None:
    found = cost(store)
    assert found.seconds == pytest.approx(4 * IMAGES * 0.022 + NATURAL + PGD + CW, rel=1e-9)
    assert found.origins == {"training": (BENCHED,), "natural": (BENCHED,), "pgd": (BENCHED,), "cw": (BENCH_PASSES,)}
    assert found.benched == ("2026-11-29",)


def test_other_steps_than_were_measured_are_told_by_their_passes(store: Store) -> None:
    found = cost(store, "train.steps=4", "evaluation.steps=5", "evaluation.attacks=pgd")
    # 4 + 1 passes and their gradients, of 1 ms; 5 + 1 forward and 5 backward, of 2 ms
    assert found.seconds == pytest.approx(4 * IMAGES * 10 * 0.001 + 2 * 360 * 11 * 0.002, rel=1e-9)
    assert found.origins == {"training": (BENCH_PASSES,), "pgd": (BENCHED,)}


def test_a_method_that_was_not_measured_is_told_by_the_passes_of_the_others(store: Store) -> None:
    found = cost(store, "evaluation.attacks=natural", methods=("mart",))  # 12 forward, 12 backward
    assert found.seconds == pytest.approx(4 * IMAGES * 24 * (0.001 + 0.002) / 2 + NATURAL, rel=1e-9)
    assert found.origins["training"] == (BENCH_PASSES,)


def test_the_checks_of_rigour_are_told_by_the_attacks_with_gradients(store: Store) -> None:
    (job,) = jobs("evaluation.attacks=natural", checks=True)
    passes = budgets.passes_at_most(job.threat, (1, 8, 8), 360).total
    found = cost(store, "evaluation.attacks=natural", checks=True)
    assert found.seconds == pytest.approx(4 * IMAGES * 0.022 + NATURAL + passes * (0.002 + 0.001) / 2, rel=1e-9)
    assert found.origins["checks"] == (BENCH_PASSES,)


@pytest.mark.parametrize("changes", [{"plain": True}, {"host": "there"}, {"image": (3, 32, 32)}], ids=str)
def test_a_bench_of_another_place_says_nothing(store: Store, changes: dict[str, Any]) -> None:
    found = cost(store, bench=dataclasses.replace(BENCH, **changes))
    assert (found.seconds, found.origins, found.benched) == (None, {}, ())


def test_a_bench_in_another_precision_tells_the_attacks_alone(store: Store) -> None:
    found = cost(store, bench=dataclasses.replace(BENCH, precision="bfloat16"))
    assert found.seconds is None
    assert set(found.origins) == {"natural", "pgd", "cw"}


def test_what_runs_took_here_goes_before_a_bench(store: Store) -> None:
    (job,) = jobs("evaluation.attacks=natural,pgd", seeds=1)
    run = start(store, job, job.specs[0])
    add_epochs(store, run, 4, duration_s=IMAGES * 22 * 0.010)  # 10 ms a pass
    store.add_checkpoint(run.id, "last", 4, "0" * 64)
    store.end_run(run.id)
    for place in places(find_missing([job], store)):
        add_blocks(store, place, (0,), 3.0)  # 30 ms an image
    found = cost(store, methods=("standard",))
    # cw was never run here, so the bench tells it
    assert found.seconds == pytest.approx(4 * IMAGES * 2 * 0.010 + 360 * 0.03 + 2 * 360 * 0.03 + CW, rel=1e-9)
    assert found.origins == {"training": (STORED,), "natural": (STORED,), "pgd": (STORED,), "cw": (BENCH_PASSES,)}


def test_without_stored_runs_and_benches_nothing_is_known() -> None:
    unknown = Known(Timings(None, {}))
    assert unknown.checks(Passes(1, 1)) is None
    assert unknown.attack("pgd", "", 1, Passes(1, 1)) is None
    assert unknown.dates == set()


def test_passes_of_attacks_are_not_told_by_trainings_in_another_precision() -> None:
    stored = Timings(1.0, {})
    assert Known(stored, BENCH, BENCH).checks(Passes(3, 2)) == (5.0, STORED_PASSES)
    bfloat16 = Known(stored, None, BENCH, "bfloat16").checks(Passes(3, 2))
    assert bfloat16 == (5 * (0.002 + 0.001) / 2, BENCH_PASSES)
    assert Known(stored, None, None, "bfloat16").checks(Passes(3, 2)) == (5.0, STORED_PASSES)


def test_workers_share_all_but_what_takes_every_core() -> None:
    whole = Estimate(Passes(), Passes(), seconds=100.0, alone=40.0)
    assert [whole.wall_s(workers) for workers in (1, 2, 4)] == [100.0, 70.0, 55.0]
    assert Estimate(Passes(), Passes(), None).wall_s(2) is None


def test_a_training_that_takes_every_core_is_not_divided(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.planning.cost.training_threads", lambda parameters, device: 2)
    found = cost(store)
    assert found.alone == pytest.approx(4 * IMAGES * 0.022, rel=1e-9)
    assert found.wall_s(2) == pytest.approx(4 * IMAGES * 0.022 + (NATURAL + PGD + CW) / 2, rel=1e-9)
