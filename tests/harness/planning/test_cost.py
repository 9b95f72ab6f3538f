"""Seconds, from hand-made records: what a pass of training takes, and an image under an attack."""

from __future__ import annotations

import dataclasses

import pytest

from harness.planning.cost import Known
from harness.planning.stored_times import Timings, timings
from harness.plugin.attack import Passes
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.store.timed_work import TimedAttack, TimedRun
from tests.stores import DIGITS

METHODS = discover("methods")


TRAINING = {"epsilon": 0.1, **load_protocol("paper").train.resolved()}  # 10 steps


def record(name: str, *epochs: tuple[int, float], evaluations: tuple[TimedAttack, ...] = ()) -> TimedRun:
    """A run of a method with default settings; each epoch by its images and seconds."""
    return TimedRun(
        method=name,
        method_settings={},
        wrappers=[],
        network="smallcnn",
        network_settings={},
        training=TRAINING,
        provenance={},
        dataset=DIGITS,
        trained=(len(epochs), sum(images for images, _ in epochs), sum(seconds for _, seconds in epochs)),
        attacks=evaluations,
    )


def evaluation(name: str, done: int, duration_s: float) -> TimedAttack:
    return TimedAttack(name, {}, done, duration_s)


def test_seconds_of_a_training_pass_by_hand() -> None:
    # sat, 22 passes an image: 200 images in 11 + 33 s; standard, 2 passes an image: 50 images in 2 s
    sat = record("sat", (100, 11.0), (100, 33.0))
    assert timings([sat], METHODS) == Timings(44 / (200 * 22), {})
    both = timings([sat, record("standard", (50, 2.0))], METHODS)
    assert both.training_pass == pytest.approx(46 / (200 * 22 + 50 * 2), rel=1e-12)


def test_passes_of_a_stored_run_are_those_of_its_own_protocol_and_settings() -> None:
    short = dataclasses.replace(record("sat", (100, 8.0)), training=TRAINING | {"steps": 3})
    assert timings([short], METHODS).training_pass == pytest.approx(8 / (100 * 8), rel=1e-12)
    settings = {"attacks": "pgd", "floor": "none"}  # as many passes as sat
    narrow = dataclasses.replace(record("lrat", (100, 22.0)), method_settings=settings)
    assert timings([narrow], METHODS).training_pass == pytest.approx(22 / (100 * 22), rel=1e-12)


def test_seconds_of_an_attack_are_the_mean_over_all_images_that_it_attacked() -> None:
    first = record("sat", evaluations=(evaluation("pgd", 40, 2.0), evaluation("natural", 10, 1.0)))
    second = record("sat", evaluations=(evaluation("pgd", 60, 4.0), evaluation("cw", 0, 0.0)))
    assert timings([first, second], METHODS) == Timings(None, {"pgd": 0.06, "natural": 0.1})


def test_a_run_of_an_unknown_method_tells_its_attacks_times_alone() -> None:
    unknown = record("gone", (100, 5.0), evaluations=(evaluation("pgd", 10, 5.0),))
    assert timings([unknown], METHODS) == Timings(None, {"pgd": 0.5})


def test_a_wrapped_run_tells_its_attacks_times_alone() -> None:
    wrapped = record("sat", (100, 5.0), evaluations=(evaluation("pgd", 10, 5.0),))
    wrapped = dataclasses.replace(wrapped, wrappers=[{"name": "awp", "settings": {}, "departures": {}}])
    assert timings([wrapped], METHODS) == Timings(None, {"pgd": 0.5})


@pytest.mark.parametrize("field", ["method_settings", "training"])
def test_a_run_of_another_version_of_a_method_does_not_count(field: str) -> None:
    sat = record("sat", (100, 22.0))
    foreign = dataclasses.replace(sat, **{field: getattr(sat, field) | {"gone_since": 1}})
    assert timings([foreign], METHODS) == Timings(None, {})
    assert timings([sat, foreign], METHODS) == timings([sat], METHODS)


def test_nothing_timed_is_nothing_known() -> None:
    assert timings([], METHODS) == Timings(None, {})
    assert timings([record("sat")], METHODS) == Timings(None, {})


def test_estimates_by_hand() -> None:
    timed = Timings(0.01, {"pgd": 0.5})
    assert timed.training(Passes(3, 2)) == pytest.approx(0.05)
    assert timed.attack("pgd", 4) == 2.0
    as_timed = Known(timed).attack("pgd", "pgd", 4, Passes(1000, 1000))  # whatever its passes
    assert as_timed == (2.0, "stored runs")
    seconds, origin = Known(timed).attack("cw", "cw", 4, Passes(80, 80)) or (0.0, "")
    assert seconds == pytest.approx(1.6)
    assert origin == "passes, and stored runs"
    unknown = Timings(None, {"pgd": 0.5})
    assert unknown.training(Passes(3, 2)) is None
    assert Known(unknown).attack("cw", "cw", 4, Passes(80, 80)) is None
    assert Known(unknown).attack("pgd", "pgd", 4, Passes(80, 80)) == (2.0, "stored runs")
