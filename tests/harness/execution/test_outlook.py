"""The time left: of known work it is right at every moment, and never negative; of unknown work nothing is said."""

from __future__ import annotations

import random

import pytest

from harness.events import Began, Ended, Phase, Planned, PlannedItem, Replanned, TrainingProgress, training_key
from harness.execution.outlook import Left, Outlook


def item(key: str, seconds: float | None, alike: str = "", images: int = 10, passes: float = 1.0) -> PlannedItem:
    return PlannedItem(key, "pgd, seed 0", "sat", alike or key, images, passes, seconds)


def near(left: Left | None, seconds: float, *, at_most: bool) -> None:
    assert left is not None
    assert left.seconds == pytest.approx(seconds)
    assert (left.at_most, left.late) == (at_most, False)


def ends_of(phases: tuple[Phase, ...]) -> dict[str, tuple[float, float]]:
    """When each item begins and ends, worker by worker: a simulation in small steps, in place of a formula."""
    moments, now = {}, 0.0
    for phase in phases:
        waiting, free = list(phase.items), [now] * phase.workers
        while waiting:
            worker = min(range(len(free)), key=lambda w: free[w])
            chosen = waiting.pop(0)
            assert chosen.seconds is not None
            moments[chosen.key] = (free[worker], free[worker] + chosen.seconds)
            free[worker] += chosen.seconds
        now = max([now, *free])
    return moments


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_time_left_of_known_work_is_right_at_every_moment(workers: int) -> None:
    draw = random.Random(workers)
    phases = tuple(
        Phase(tuple(item(f"{p} {i}", draw.uniform(0.1, 9.0)) for i in range(7)), 1 if p == 1 else workers)
        for p in range(3)
    )
    moments = ends_of(phases)
    last = max(end for _, end in moments.values())
    happens = sorted(
        (time, kind, key) for key, both in moments.items() for kind, time in zip((1, 0), both, strict=True)
    )
    outlook, now = Outlook(), 0.0
    outlook.hear(Planned(phases), now)
    while now < last:
        left = outlook.left(now)
        assert left is not None
        assert left.seconds == pytest.approx(last - now)
        assert (left.at_most, left.late) == (False, False)
        at_work = {key for key, (begin, end) in moments.items() if begin < now < end}
        assert at_work <= {running.item.key for running in outlook.running()}
        now = min(now + 0.25, last)
        while happens and happens[0][0] <= now:
            time, kind, key = happens.pop(0)
            outlook.hear(Began(key) if kind else Ended(key, moments[key][1] - moments[key][0]), time)
    assert (outlook.done, outlook.total) == (21, 21)
    assert outlook.left(last) == Left(0.0, at_most=False)


def test_what_takes_longer_than_expected_is_late_and_not_negative() -> None:
    outlook = Outlook()
    outlook.hear(Planned((Phase((item("a", 5.0), item("b", 3.0)), 1),)), 0.0)
    outlook.hear(Began("a"), 0.0)
    assert outlook.left(4.0) == Left(4.0, at_most=False)
    assert outlook.left(60.0) == Left(3.0, at_most=False, late=True)


def test_what_was_measured_in_this_command_goes_before_what_was_expected() -> None:
    """AutoAttack's blocks cost hundreds of times those of natural accuracy: the number of blocks says nothing."""
    natural = [item(f"n{i}", 0.1, "natural") for i in range(3)]
    strong = [item(f"s{i}", 30.0, "autoattack") for i in range(3)]
    outlook = Outlook()
    outlook.hear(Planned((Phase((*natural, *strong), 1),)), 0.0)
    near(outlook.left(0.0), 90.3, at_most=False)
    for each in natural:
        outlook.hear(Began(each.key), 0.0)
        outlook.hear(Ended(each.key, 0.1), 0.3)
    near(outlook.left(0.3), 90.0, at_most=False)
    outlook.hear(Began("s0"), 0.3)
    outlook.hear(Ended("s0", 60.0), 60.3)
    near(outlook.left(60.3), 120.0, at_most=False)


def test_passes_tell_where_nothing_was_timed_and_say_that_it_is_at_most() -> None:
    key = training_key(1)
    training = item(key, None, "training", images=100, passes=2200.0)
    attack = item("a", None, "autoattack", images=10, passes=9000.0)
    outlook = Outlook()
    outlook.hear(Planned((Phase((training,), 2), Phase((attack,), 2))), 0.0)
    outlook.hear(Began(key), 0.0)
    assert outlook.left(0.5) is None
    # 44 images a second, of 22 passes each: 9000 passes take 9000 / (44 * 22) seconds
    told = TrainingProgress(1, "sat", 1, 1, 2, 4, loss=1.0, images_per_s=44.0, left_s=2.0)
    outlook.hear(told, 1.0)
    near(outlook.left(1.5), 1.5 + 9000 / 968, at_most=True)
    near(outlook.left(9.0), 9000 / 968, at_most=True)
    outlook.hear(Ended(key), 4.4)  # 4.4 seconds for 2200 passes
    near(outlook.left(4.4), 9000 * 4.4 / 2200, at_most=True)


@pytest.mark.parametrize("failed", [True, False], ids=["failed", "pruned"])
def test_a_training_that_is_not_whole_tells_no_time(failed: bool) -> None:
    outlook = Outlook()
    outlook.hear(Planned((Phase((item("a", None, "x"), item("b", None, "x")), 1),)), 0.0)
    outlook.hear(Began("a"), 0.0)
    outlook.hear(Ended("a", failed=failed, whole=failed), 0.1)
    assert outlook.left(0.1) is None
    assert (outlook.done, outlook.failed, outlook.total) == (not failed, failed, 2)


def test_a_new_plan_replaces_what_is_left_and_keeps_what_was_learnt() -> None:
    outlook = Outlook()
    outlook.hear(Planned((Phase((item("a", None, "x"), item("later 0", None, "x")), 1),)), 0.0)
    outlook.hear(Began("a"), 0.0)
    outlook.hear(Ended("a", 7.0), 7.0)
    outlook.hear(Planned((Phase((item("b", None, "x"), item("c", None, "x")), 2),)), 8.0)
    assert outlook.left(8.0) == Left(7.0, at_most=False)
    assert (outlook.done, outlook.total) == (1, 3)
    outlook.hear(Ended("unknown", 1.0), 9.0)
    assert (outlook.done, outlook.total) == (1, 3)


def test_items_of_the_last_phase_are_replaced_by_those_that_are_known_now() -> None:
    outlook = Outlook()
    later = (item("later 1 0", 4.0), item("later 1 1", 4.0), item("later 2 0", 4.0))
    outlook.hear(Planned((Phase((item("alone", 7.0),), 1), Phase((item("training", 5.0), *later), 1))), 0.0)
    near(outlook.left(0.0), 7.0 + 5.0 + 12.0, at_most=False)
    outlook.hear(Ended("alone", 7.0), 7.0)
    outlook.hear(Replanned(("later 1 0", "later 1 1"), (item("a", 1.0), item("b", 2.0))), 7.0)
    near(outlook.left(7.0), 5.0 + 3.0 + 4.0, at_most=False)
    assert outlook.total == 5
    outlook.hear(Began("b"), 8.0)
    assert [running.item.key for running in outlook.running()] == ["b"]
    outlook.hear(Replanned(("later 2 0",), ()), 9.0)  # its training failed
    near(outlook.left(9.0), 5.0 + 1.0 + 1.0, at_most=False)
    assert outlook.total == 4


def test_further_items_without_a_plan_are_none() -> None:
    outlook = Outlook()
    outlook.hear(Replanned((), (item("a", 1.0),)), 0.0)
    assert outlook.total == 0
