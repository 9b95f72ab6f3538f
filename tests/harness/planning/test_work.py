"""What is planned is what the store lacks: trainings, evaluations, and attempts."""

from __future__ import annotations

import pytest

from harness.events import BlockDone
from harness.planning.cost import Estimate, estimate
from harness.planning.gaps import AttackGap, model_gap
from harness.planning.missing import find_missing
from harness.plugin.attack import Passes
from harness.store.store import Store
from tests.harness.planning.carried import (
    IMAGES,
    WHOLE,
    add_blocks,
    add_epochs,
    asks,
    carry_out,
    firsts,
    jobs,
    places,
    shape,
    start,
)


def test_a_new_job_plans_everything(store: Store) -> None:
    asked = jobs(train_seeds=2)
    missing = find_missing(asked, store)
    assert [(gap.spec, gap.attempt, gap.record, gap.epochs_done) for gap in missing.runs] == [
        (spec, 1, None, 0) for spec in asked[0].specs
    ]
    assert missing.to_train == list(missing.runs)
    attacks = [("natural", 0), ("pgd", 0), ("pgd", 1), ("cw", 0), ("cw", 1)]
    assert shape(missing) == [(seed, "last", *attack, *WHOLE) for seed in (0, 1) for attack in attacks]
    assert missing.complete == 0
    # a training image: 10 steps to craft and 1 of the update, forward and backward
    assert estimate(missing).training == Passes(2 * 4 * IMAGES * 11, 2 * 4 * IMAGES * 11)
    # an attacked image: 20 steps, and one forward pass of the evaluator's; natural has that alone
    assert estimate(missing).evaluation == Passes(2 * 360 * (1 + 4 * 21), 2 * 360 * 4 * 20)
    assert estimate(missing).seconds is None  # nothing was ever timed
    assert store.runs() == []


def test_a_wrapped_training_is_a_run_of_its_own_at_its_own_cost(done: Store) -> None:
    missing = find_missing(jobs(wrap=("awp",)), done)
    assert [gap.attempt for gap in missing.to_train] == [1]
    # awp takes the update's passes once more
    assert estimate(missing).training == Passes(4 * IMAGES * 12, 4 * IMAGES * 12)
    assert missing.complete == 0


def test_nothing_remains_once_everything_is_stored(store: Store) -> None:
    asked = jobs("evaluation.attacks=natural,pgd", methods=("sat", "standard"), train_seeds=2)
    carry_out(store, asked)
    missing = find_missing(asked, store)
    assert len(missing.runs) == 4
    assert all(run.trained and not run.failed for run in missing.runs)
    assert (missing.to_train, places(missing), missing.complete) == ([], [], 12)
    assert estimate(missing) == Estimate(Passes(), Passes(), 0.0)


def test_a_partly_stored_evaluation_leaves_just_its_missing_blocks(store: Store) -> None:
    (job,) = jobs()
    missing = carry_out(store, jobs("evaluation.attacks=natural"))
    gaps = {(place.gap.attack, place.gap.seed): place for place in places(find_missing([job], store))}
    add_blocks(store, gaps["pgd", 1], (0, 300))
    add_blocks(store, gaps["cw", 0], (100,))
    missing = find_missing([job], store)
    assert shape(missing) == [
        (0, "last", "pgd", 0, *WHOLE),
        (0, "last", "pgd", 1, (100, 200), 200),
        (0, "last", "cw", 0, (0, 200, 300), 260),
        (0, "last", "cw", 1, *WHOLE),
    ]
    assert missing.complete == 1
    assert estimate(missing).evaluation == Passes(21 * (360 + 200 + 260 + 360), 20 * (360 + 200 + 260 + 360))
    assert missing.to_train == []


def test_more_attack_seeds_add_the_new_ones_alone_and_fewer_add_nothing(done: Store) -> None:
    more = find_missing(jobs(seeds=4), done)
    assert asks(more) == {("last", attack, seed) for attack in ("pgd", "cw") for seed in (2, 3)}
    assert (more.to_train, more.complete) == ([], 5)
    fewer = find_missing(jobs(seeds=1), done)
    assert (fewer.to_train, places(fewer), fewer.complete) == ([], [], 3)


def test_an_attack_that_the_protocol_gets_is_all_that_a_trained_network_lacks(done: Store) -> None:
    more = find_missing(jobs("evaluation.attacks=natural,pgd,minimum-margin,cw"), done)
    assert asks(more) == {("last", "minimum-margin", seed) for seed in (0, 1)}
    assert (more.to_train, more.complete) == ([], 5)


def test_more_train_seeds_add_the_new_network_alone(done: Store) -> None:
    missing = find_missing(jobs(train_seeds=2), done)
    assert [run.spec.train_seed for run in missing.to_train] == [1]
    assert {place.run.spec.train_seed for place in places(missing)} == {1}
    assert missing.complete == 5


def test_another_checkpoint_is_evaluated_without_training(done: Store) -> None:
    missing = find_missing(jobs("checkpoints=early,last"), done)
    assert missing.to_train == []
    assert {place.checkpoint for place in places(missing)} == {"early"}
    assert (len(places(missing)), missing.complete) == (5, 5)


def test_a_limit_is_an_evaluation_set_of_its_own(done: Store) -> None:
    limited = find_missing(jobs(limit=150), done)
    assert (limited.to_train, limited.complete) == ([], 0)
    assert {(firsts(place.gap), place.gap.images) for place in places(limited)} == {((0, 100), 150)}
    carry_out(done, jobs(limit=150))
    assert places(find_missing(jobs(limit=150), done)) == []
    assert places(find_missing(jobs(), done)) == []


@pytest.mark.parametrize("value", ["epochs=5", "lr=0.3", "train.steps=9", "epsilon=0.11", "width=8"])
def test_another_training_reuses_nothing(done: Store, value: str) -> None:
    missing = find_missing(jobs(value), done)
    assert len(missing.to_train) == 1
    assert (len(places(missing)), missing.complete) == (5, 0)


@pytest.mark.parametrize(
    ("value", "again"),
    [
        ("evaluation.steps=30", {"pgd", "cw"}),
        ("evaluation.relative_step=1/8", {"pgd", "cw"}),
        ("evaluation.start=none", {"pgd", "cw"}),
        ("cw.kappa=20", {"cw"}),
        ("pgd.keep=worst", {"pgd"}),
    ],
)
def test_another_evaluation_repeats_the_attacks_that_it_changes_and_no_training(
    done: Store, value: str, again: set[str]
) -> None:
    missing = find_missing(jobs(value), done)
    assert missing.to_train == []
    assert {place.gap.attack for place in places(missing)} == again
    assert all((firsts(place.gap), place.gap.images) == WHOLE for place in places(missing))
    assert missing.complete == 5 - 2 * len(again)


@pytest.mark.parametrize(
    "size",
    [
        50,
        500,
    ],
)
def test_another_block_size_repeats_what_is_random_and_leaves_the_rest(done: Store, size: int) -> None:
    missing = find_missing(jobs(f"block_size={size}"), done)
    assert {place.gap.attack for place in places(missing)} == {"pgd", "cw"}
    assert missing.complete == 1


def test_fresh_opens_the_next_attempt_and_keeps_the_old(done: Store) -> None:
    missing = carry_out(done, jobs(), fresh=True)
    assert [(run.attempt, run.record, run.epochs_done) for run in missing.to_train] == [(2, None, 0)]
    assert (len(places(missing)), missing.complete) == (5, 0)
    assert [run.attempt for run in done.runs()] == [1, 2]
    after = find_missing(jobs(), done)
    assert [(run.attempt, run.trained) for run in after.runs] == [(2, True)]
    assert (places(after), after.complete) == ([], 5)
    assert [run.attempt for run in find_missing(jobs(), done, fresh=True).runs] == [3]


@pytest.mark.parametrize("images", [0, 200])
def test_a_repeated_attack_that_was_stopped_is_gone_on_with_and_fresh_opens_the_next(done: Store, images: int) -> None:
    """The complete attempt before it counts meanwhile, but nobody asked for its verdicts."""
    (job,) = jobs()
    checkpoint = done.runs()[0].checkpoint("last")
    assert checkpoint is not None
    key = (checkpoint.id, "pgd", job.attack_settings("pgd"), 0, job.examples)
    number = done.open_evaluation(*key, attempt=2)
    if images:
        done.add_block(BlockDone(number, 0, bytes(images), 0.5, ()))
    found = done.checkpoint(checkpoint.id)
    every = ((0, 100), (100, 100), (200, 100), (300, 60))
    for fresh, attempt, blocks in ((False, 2, every[images // 100 :]), (True, 3, every)):
        gap = model_gap(job, "last", ("smallcnn", {}), found, fresh=fresh)
        (of_seed,) = [one for one in gap.attacks if (one.attack, one.seed) == ("pgd", 0)]
        assert of_seed == AttackGap(attack="pgd", seed=0, blocks=blocks, attempt=attempt)
        assert (len(gap.attacks), gap.complete) == ((5, 0) if fresh else (1, 4))


def test_fresh_on_an_empty_store_is_the_first_attempt(store: Store) -> None:
    assert [run.attempt for run in find_missing(jobs(), store, fresh=True).runs] == [1]


def test_a_failed_run_is_not_planned_but_for_fresh(store: Store) -> None:
    asked = jobs(train_seeds=2)
    run = start(store, asked[0], asked[0].specs[0])
    add_epochs(store, run, 1)
    store.end_run(run.id, failure="the loss is not finite at epoch 2, batch 1")
    missing = find_missing(asked, store)
    assert [(gap.failed, gap.trained) for gap in missing.runs] == [(True, False), (False, False)]
    assert [gap.spec.train_seed for gap in missing.to_train] == [1]
    assert {place.run.spec.train_seed for place in places(missing)} == {1}
    assert estimate(missing).training == Passes(4 * IMAGES * 11, 4 * IMAGES * 11)
    assert [(gap.spec.train_seed, gap.attempt) for gap in find_missing(asked, store, fresh=True).to_train] == [
        (0, 2),
        (1, 1),
    ]


def test_an_interrupted_training_has_its_remaining_epochs_ahead(store: Store) -> None:
    (job,) = jobs()
    run = start(store, job, job.specs[0])
    add_epochs(store, run, 3)
    store.add_checkpoint(run.id, "early", 2, "0" * 64)
    missing = find_missing([job], store)
    assert [(gap.attempt, gap.epochs_done, gap.trained) for gap in missing.to_train] == [(1, 3, False)]
    assert estimate(missing).training == Passes(1 * IMAGES * 11, 1 * IMAGES * 11)
    assert len(places(missing)) == 5
