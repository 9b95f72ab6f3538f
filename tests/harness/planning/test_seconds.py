"""How long the work will take, from what was timed on this machine."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.planning.cost import estimate
from harness.planning.missing import find_missing
from harness.store.store import Store
from tests.harness.planning.carried import HERE, IMAGES, add_blocks, add_epochs, jobs, places, start


def test_seconds_follow_from_what_this_machine_has_timed(store: Store) -> None:
    (timed,) = jobs("evaluation.attacks=natural,pgd", seeds=1)
    run = start(store, timed, timed.specs[0])
    add_epochs(store, run, 4, duration_s=IMAGES * 22 * 0.001)  # so a pass takes 1 ms
    store.add_checkpoint(run.id, "last", 4, "0" * 64)
    store.end_run(run.id)
    for place in places(find_missing([timed], store)):
        add_blocks(store, place, (0, 100), {"natural": 1.0, "pgd": 5.0}[place.gap.attack])  # 10 ms, 50 ms an image

    cost = estimate(find_missing(jobs(methods=("standard",)), store))
    training = 4 * IMAGES * 2 * 0.001
    natural, pgd = 360 * 0.010, 2 * 360 * 0.050
    cw = 2 * 360 * 41 * 0.001  # never timed: by its passes
    assert cost.seconds == pytest.approx(training + natural + pgd + cw, rel=1e-9)

    rest = estimate(find_missing([timed], store))  # what is left of the one that was timed: the last 160 images
    assert rest.seconds == pytest.approx(160 * 0.010 + 160 * 0.050, rel=1e-9)


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ({"provenance": HERE | {"host": "another"}}, ()),
        ({"provenance": HERE | {"device": "NVIDIA H200"}}, ()),
        ({"provenance": {}}, ()),
        ({"height": 16}, ()),
        ({}, ("width=8",)),
        ({"provenance": HERE | {"path": "plain"}}, ()),
        ({"provenance": HERE | {"devices": 2}}, ()),
        ({}, ("train.precision=bfloat16",)),
    ],
    ids=[
        *("another host", "another device", "unknown place", "other images", "another network"),
        *("plain layers", "two devices together", "another precision"),
    ],
)
def test_what_was_timed_elsewhere_says_nothing(store: Store, place: dict[str, Any], values: tuple[str, ...]) -> None:
    (other,) = jobs(*values)
    run = start(store, other, other.specs[0], **place)
    add_epochs(store, run, 4)
    store.end_run(run.id)
    assert estimate(find_missing(jobs(methods=("standard",)), store)).seconds is None


@pytest.mark.parametrize(("path", "plain"), [("plain", True), ("fast", False)])
def test_what_was_timed_on_the_same_path_counts(store: Store, path: str, plain: bool) -> None:
    (timed,) = jobs("evaluation.attacks=natural")
    run = start(store, timed, timed.specs[0], provenance=HERE | {"path": path})
    add_epochs(store, run, 4, duration_s=IMAGES * 22 * 0.001)
    store.end_run(run.id)
    cost = estimate(find_missing(jobs("evaluation.attacks=natural", methods=("standard",), plain=plain), store))
    assert cost.seconds == pytest.approx((4 * IMAGES * 2 + 360) * 0.001, rel=1e-9)


def test_what_is_done_takes_no_time_even_where_nothing_was_timed(done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOST", "another")
    assert estimate(find_missing(jobs(), done)).seconds == 0.0
    assert estimate(find_missing(jobs(seeds=3), done)).seconds is None


@pytest.mark.parametrize("field", ["method_settings", "training"])
def test_a_run_of_another_version_of_a_method_does_not_stop_the_planning(store: Store, field: str) -> None:
    (job,) = jobs()
    foreign = dataclasses.replace(job.specs[0], **{field: getattr(job.specs[0], field) | {"gone_since": 1}})
    add_epochs(store, start(store, job, foreign), 4)
    assert len(find_missing([job], store).to_train) == 1
