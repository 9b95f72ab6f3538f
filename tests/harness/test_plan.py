"""The plan against a real store: what is asked for minus what is there, block by block, and what the rest costs."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.assessment import missing_blocks
from harness.attack import Passes
from harness.evaluation.images import Images
from harness.events import BlockDone, EpochRecord
from harness.identity import digest
from harness.job import Job, Request, resolve
from harness.plan import EvaluationGap, Plan, evaluation_gaps, make_plan
from harness.provenance import host
from harness.rigour.budgets import EXAMPLES, passes
from harness.rigour.scope import KINDS, Scope
from harness.spec import RunSpec
from harness.store.records import CheckpointRecord, EvaluationRecord, RunRecord
from harness.store.store import Store

IMAGES = 1437  # of the digits, to train on
VALUES = (
    "epochs=4",
    "train.steps=10",
    "evaluation.steps=20",
    "block_size=100",
    "checkpoints=last",
    "evaluation.attacks=natural,pgd,cw",
)
HERE: dict[str, Any] = {"host": host(), "device": "cpu"}
REQUEST = Request(methods=("sat",), arch="smallcnn", dataset="digits", device="cpu", seeds=2, checks=False)


def jobs(*values: str, **changes: Any) -> list[Job]:
    return resolve(dataclasses.replace(REQUEST, values=(*VALUES, *values), **changes))


# ---- what a conductor does, without its networks


def start(
    store: Store, job: Job, spec: RunSpec, attempt: int = 1, provenance: dict[str, Any] = HERE, height: int = 8
) -> RunRecord:
    return store.start_run(
        spec,
        dataclasses.replace(job.dataset_record(), height=height),
        method_departures=job.method.departures(),
        network_departures=job.network.departures(),
        parameters=job.parameters,
        provenance=provenance,
        attempt=attempt,
    )


def add_epochs(store: Store, run: RunRecord, epochs: int, duration_s: float = 1.0) -> None:
    for epoch in range(1, epochs + 1):
        store.add_epoch(run.id, EpochRecord(epoch, 0.5, 0.1, IMAGES, duration_s))


def firsts(gap: EvaluationGap) -> tuple[int, ...]:
    """The first images of the missing blocks."""
    return tuple(first for first, _ in gap.blocks)


def add_blocks(store: Store, job: Job, gap: EvaluationGap, starts: tuple[int, ...], duration_s: float = 1.0) -> None:
    run = store.newest_attempt(gap.spec.identity)
    checkpoint = run and run.checkpoint(gap.checkpoint)
    assert checkpoint
    opened = store.open_evaluation(
        checkpoint.id,
        gap.attack,
        job.attack_settings(gap.attack),
        gap.seed,
        job.examples,
        HERE,
        sample=job.images.sample,
    )
    for first, length in gap.blocks:
        if first in starts:
            store.add_block(BlockDone(opened, first, bytes([1] * length), duration_s, ()))


def carry_out(store: Store, asked: list[Job], *, fresh: bool = False) -> Plan:
    """Do all that the plan says, and give back the plan."""
    plan = make_plan(asked, store, fresh=fresh)
    owner = {spec.identity: job for job in asked for spec in job.specs}
    for gap in plan.to_train:
        run = start(store, owner[gap.spec.identity], gap.spec, gap.attempt)
        add_epochs(store, run, 4)
        for name, epoch in (("early", 2), ("last", 4)):
            store.add_checkpoint(run.id, name, epoch, "0" * 64)
        store.end_run(run.id)
    for missing in plan.evaluations:
        add_blocks(store, owner[missing.spec.identity], missing, firsts(missing))
    return plan


def shape(plan: Plan) -> list[tuple[int, str, str, int, tuple[int, ...], int]]:
    """The evaluations of a plan, as plain values."""
    return [(g.spec.train_seed, g.checkpoint, g.attack, g.seed, firsts(g), g.images) for g in plan.evaluations]


def asks(plan: Plan) -> set[tuple[str, str, int]]:
    return {(gap.checkpoint, gap.attack, gap.seed) for gap in plan.evaluations}


WHOLE = ((0, 100, 200, 300), 360)


# ---- stores


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An empty store, and one in which everything that ``jobs()`` asks for is done; made once, and copied."""
    folder = tmp_path_factory.mktemp("stores")
    empty = Store.write(str(folder / "empty.db"))
    empty.close()
    shutil.copy(folder / "empty.db", folder / "done.db")
    done = Store.write(str(folder / "done.db"))
    carry_out(done, jobs())
    done.close()
    return {name: folder / f"{name}.db" for name in ("empty", "done")}


def copied(file: Path, folder: Path) -> Iterator[Store]:
    store = Store.write(str(shutil.copy(file, folder / "results.db")))
    yield store
    store.close()


@pytest.fixture
def store(files: dict[str, Path], tmp_path: Path) -> Iterator[Store]:
    yield from copied(files["empty"], tmp_path)


@pytest.fixture
def done(files: dict[str, Path], tmp_path: Path) -> Iterator[Store]:
    yield from copied(files["done"], tmp_path)


# ---- what is planned


def test_a_new_job_plans_everything(store: Store) -> None:
    asked = jobs(train_seeds=2)
    plan = make_plan(asked, store)
    assert [(gap.spec, gap.attempt, gap.record, gap.epochs_done) for gap in plan.runs] == [
        (spec, 1, None, 0) for spec in asked[0].specs
    ]
    assert plan.to_train == plan.runs
    attacks = [("natural", 0), ("pgd", 0), ("pgd", 1), ("cw", 0), ("cw", 1)]
    assert shape(plan) == [(seed, "last", *attack, *WHOLE) for seed in (0, 1) for attack in attacks]
    assert plan.evaluations_done == 0
    # a training image: 10 steps to craft and 1 of the update, forward and backward
    assert plan.training == Passes(2 * 4 * IMAGES * 11, 2 * 4 * IMAGES * 11)
    # an attacked image: 20 steps, and one forward pass of the evaluator's; natural has that alone
    assert plan.evaluation == Passes(2 * 360 * (1 + 4 * 21), 2 * 360 * 4 * 20)
    assert plan.seconds is None  # nothing was ever timed
    assert store.runs() == []


def test_a_wrapped_training_is_a_run_of_its_own_at_its_own_cost(done: Store) -> None:
    plan = make_plan(jobs(wrap=("awp",)), done)
    assert [gap.attempt for gap in plan.to_train] == [1]
    assert plan.training == Passes(4 * IMAGES * 12, 4 * IMAGES * 12)  # awp takes the update's passes once more
    assert plan.evaluations_done == 0


def test_nothing_remains_once_everything_is_stored(store: Store) -> None:
    asked = jobs("evaluation.attacks=natural,pgd", methods=("sat", "standard"), train_seeds=2)
    carry_out(store, asked)
    plan = make_plan(asked, store)
    assert len(plan.runs) == 4
    assert all(run.trained and not run.failed for run in plan.runs)
    assert (plan.to_train, plan.evaluations, plan.evaluations_done) == ([], [], 12)
    assert (plan.training, plan.evaluation, plan.seconds) == (Passes(), Passes(), 0.0)


def test_a_partly_stored_evaluation_leaves_just_its_missing_blocks(store: Store) -> None:
    (job,) = jobs()
    plan = carry_out(store, jobs("evaluation.attacks=natural"))
    gaps = {(gap.attack, gap.seed): gap for gap in make_plan([job], store).evaluations}
    add_blocks(store, job, gaps["pgd", 1], (0, 300))
    add_blocks(store, job, gaps["cw", 0], (100,))
    plan = make_plan([job], store)
    assert shape(plan) == [
        (0, "last", "pgd", 0, *WHOLE),
        (0, "last", "pgd", 1, (100, 200), 200),
        (0, "last", "cw", 0, (0, 200, 300), 260),
        (0, "last", "cw", 1, *WHOLE),
    ]
    assert plan.evaluations_done == 1
    assert plan.evaluation == Passes(21 * (360 + 200 + 260 + 360), 20 * (360 + 200 + 260 + 360))
    assert plan.to_train == []


def test_more_attack_seeds_add_the_new_ones_alone_and_fewer_add_nothing(done: Store) -> None:
    more = make_plan(jobs(seeds=4), done)
    assert asks(more) == {("last", attack, seed) for attack in ("pgd", "cw") for seed in (2, 3)}
    assert (more.to_train, more.evaluations_done) == ([], 5)
    fewer = make_plan(jobs(seeds=1), done)
    assert (fewer.to_train, fewer.evaluations, fewer.evaluations_done) == ([], [], 3)


def test_more_train_seeds_add_the_new_network_alone(done: Store) -> None:
    plan = make_plan(jobs(train_seeds=2), done)
    assert [run.spec.train_seed for run in plan.to_train] == [1]
    assert {gap.spec.train_seed for gap in plan.evaluations} == {1}
    assert plan.evaluations_done == 5


def test_another_checkpoint_is_evaluated_without_training(done: Store) -> None:
    plan = make_plan(jobs("checkpoints=early,last"), done)
    assert plan.to_train == []
    assert {gap.checkpoint for gap in plan.evaluations} == {"early"}
    assert (len(plan.evaluations), plan.evaluations_done) == (5, 5)


def test_a_limit_is_an_evaluation_set_of_its_own(done: Store) -> None:
    limited = make_plan(jobs(limit=150), done)
    assert (limited.to_train, limited.evaluations_done) == ([], 0)
    assert {(firsts(gap), gap.images) for gap in limited.evaluations} == {((0, 100), 150)}
    carry_out(done, jobs(limit=150))
    assert make_plan(jobs(limit=150), done).evaluations == []
    assert make_plan(jobs(), done).evaluations == []


@pytest.mark.parametrize("value", ["epochs=5", "lr=0.3", "train.steps=9", "epsilon=0.11", "width=8"])
def test_another_training_reuses_nothing(done: Store, value: str) -> None:
    plan = make_plan(jobs(value), done)
    assert len(plan.to_train) == 1
    assert (len(plan.evaluations), plan.evaluations_done) == (5, 0)


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
    plan = make_plan(jobs(value), done)
    assert plan.to_train == []
    assert {gap.attack for gap in plan.evaluations} == again
    assert all((firsts(gap), gap.images) == WHOLE for gap in plan.evaluations)
    assert plan.evaluations_done == 5 - 2 * len(again)


@pytest.mark.parametrize(
    "size",
    [
        50,
        500,
    ],
)
def test_another_block_size_repeats_what_is_random_and_leaves_the_rest(done: Store, size: int) -> None:
    plan = make_plan(jobs(f"block_size={size}"), done)
    assert {gap.attack for gap in plan.evaluations} == {"pgd", "cw"}
    assert plan.evaluations_done == 1


def test_every_example_has_one_verdict_whatever_sizes_its_blocks_had(done: Store) -> None:
    (job,) = jobs()
    carry_out(done, jobs("block_size=150"))
    run = done.newest_attempt(job.specs[0].identity)
    checkpoint = run and run.checkpoint("last")
    assert checkpoint
    for evaluation in checkpoint.evaluations:
        assert (evaluation.done, len(done.verdicts(evaluation.id))) == (360, 360)


def test_a_part_that_is_there_does_not_pass_for_the_whole_under_larger_blocks(store: Store) -> None:
    (job,) = jobs("evaluation.attacks=pgd", seeds=1)
    carry_out(store, [job])
    (natural,) = jobs("evaluation.attacks=natural")
    (gap,) = make_plan([natural], store).evaluations
    add_blocks(store, natural, gap, (0,))
    plan = make_plan(jobs("evaluation.attacks=natural", "block_size=500"), store)
    assert plan.evaluations_done == 0


# ---- attempts


def test_fresh_opens_the_next_attempt_and_keeps_the_old(done: Store) -> None:
    plan = carry_out(done, jobs(), fresh=True)
    assert [(run.attempt, run.record, run.epochs_done) for run in plan.to_train] == [(2, None, 0)]
    assert (len(plan.evaluations), plan.evaluations_done) == (5, 0)
    assert [run.attempt for run in done.runs()] == [1, 2]
    after = make_plan(jobs(), done)
    assert [(run.attempt, run.trained) for run in after.runs] == [(2, True)]
    assert (after.evaluations, after.evaluations_done) == ([], 5)
    assert [run.attempt for run in make_plan(jobs(), done, fresh=True).runs] == [3]


def test_fresh_on_an_empty_store_is_the_first_attempt(store: Store) -> None:
    assert [run.attempt for run in make_plan(jobs(), store, fresh=True).runs] == [1]


def test_a_failed_run_is_not_planned_but_for_fresh(store: Store) -> None:
    asked = jobs(train_seeds=2)
    run = start(store, asked[0], asked[0].specs[0])
    add_epochs(store, run, 1)
    store.end_run(run.id, failure="the loss is not finite at epoch 2, batch 1")
    plan = make_plan(asked, store)
    assert [(gap.failed, gap.trained) for gap in plan.runs] == [(True, False), (False, False)]
    assert [gap.spec.train_seed for gap in plan.to_train] == [1]
    assert {gap.spec.train_seed for gap in plan.evaluations} == {1}
    assert plan.training == Passes(4 * IMAGES * 11, 4 * IMAGES * 11)
    assert [(gap.spec.train_seed, gap.attempt) for gap in make_plan(asked, store, fresh=True).to_train] == [
        (0, 2),
        (1, 1),
    ]


def test_an_interrupted_training_has_its_remaining_epochs_ahead(store: Store) -> None:
    (job,) = jobs()
    run = start(store, job, job.specs[0])
    add_epochs(store, run, 3)
    store.add_checkpoint(run.id, "early", 2, "0" * 64)
    plan = make_plan([job], store)
    assert [(gap.attempt, gap.epochs_done, gap.trained) for gap in plan.to_train] == [(1, 3, False)]
    assert plan.training == Passes(1 * IMAGES * 11, 1 * IMAGES * 11)
    assert len(plan.evaluations) == 5


# ---- blocks


@pytest.fixture(scope="module")
def one_job() -> Job:
    (job,) = jobs()
    return job


def sized(job: Job, examples: int, block_size: int) -> Job:
    evaluation = dataclasses.replace(job.protocol.evaluation, block_size=block_size)
    return dataclasses.replace(
        job, images=Images(examples), protocol=dataclasses.replace(job.protocol, evaluation=evaluation)
    )


@given(examples=st.integers(1, 1000), block_size=st.integers(1, 1200))
def test_blocks_cover_every_example_exactly_once(examples: int, block_size: int) -> None:
    blocks = [range(first, first + length) for first, length in missing_blocks(examples, block_size, ())]
    assert [example for block in blocks for example in block] == list(range(examples))
    assert all(1 <= len(block) <= block_size for block in blocks)
    assert len(blocks) == -(-examples // block_size)


@given(data=st.data(), examples=st.integers(1, 60), block_size=st.integers(1, 20), other=st.integers(1, 20))
def test_what_other_blocks_left_is_covered_exactly_once(
    data: st.DataObject, examples: int, block_size: int, other: int
) -> None:
    every = list(missing_blocks(examples, other, ()))
    done = data.draw(st.sets(st.sampled_from(every)))
    covered = [example for first, length in done for example in range(first, first + length)]
    missing = [list(range(first, first + length)) for first, length in missing_blocks(examples, block_size, done)]
    assert sorted([*covered, *(example for block in missing for example in block)]) == list(range(examples))
    assert all(block[0] // block_size == block[-1] // block_size for block in missing)  # none crosses a boundary


@given(data=st.data(), examples=st.integers(1, 60), block_size=st.integers(1, 20))
def test_gaps_are_the_complement_of_the_blocks_that_are_there(
    one_job: Job, data: st.DataObject, examples: int, block_size: int
) -> None:
    job = sized(one_job, examples, block_size)
    every = list(range(0, examples, block_size))
    there = {
        (attack, seed): frozenset(data.draw(st.sets(st.sampled_from(every))))
        for attack in job.attacks
        for seed in job.attack_seeds(attack)
    }
    evaluations = [
        EvaluationRecord(
            id=index,
            attack=attack,
            settings={},
            settings_sha256=digest(job.attack_settings(attack)),
            seed=seed,
            examples=examples,
            done=sum(min(block_size, examples - first) for first in starts),
            correct=0,
            blocks=tuple((first, min(block_size, examples - first)) for first in sorted(starts)),
            duration_s=0.0,
            warnings=(),
            provenance={},
        )
        for index, ((attack, seed), starts) in enumerate(there.items())
    ]
    gaps = list(evaluation_gaps(job, job.specs[0], trained(CheckpointRecord(1, "last", 4, "", tuple(evaluations)))))
    assert [(gap.attack, gap.seed) for gap in gaps] == list(there)
    for gap in gaps:
        stored = there[gap.attack, gap.seed]
        assert sorted([*(first for first, _ in gap.blocks), *stored]) == every
        missing = [i for first, length in gap.blocks for i in range(first, first + length)]
        assert gap.images == len(missing)


def trained(checkpoint: CheckpointRecord) -> RunRecord:
    names = {field.name: None for field in dataclasses.fields(RunRecord)}
    return RunRecord(**(names | {"status": "done", "checkpoints": (checkpoint,)}))  # type: ignore[arg-type]


# ---- seconds


def test_seconds_follow_from_what_this_machine_has_timed(store: Store) -> None:
    (timed,) = jobs("evaluation.attacks=natural,pgd", seeds=1)
    run = start(store, timed, timed.specs[0])
    add_epochs(store, run, 4, duration_s=IMAGES * 22 * 0.001)  # so a pass takes 1 ms
    store.add_checkpoint(run.id, "last", 4, "0" * 64)
    store.end_run(run.id)
    for gap in make_plan([timed], store).evaluations:
        add_blocks(store, timed, gap, (0, 100), {"natural": 1.0, "pgd": 5.0}[gap.attack])  # 10 ms, 50 ms an image

    plan = make_plan(jobs(methods=("standard",)), store)
    training = 4 * IMAGES * 2 * 0.001
    natural, pgd = 360 * 0.010, 2 * 360 * 0.050
    cw = 2 * 360 * 41 * 0.001  # never timed: by its passes
    assert plan.seconds == pytest.approx(training + natural + pgd + cw, rel=1e-9)

    rest = make_plan([timed], store)  # what is left of the one that was timed: the last 160 images
    assert rest.seconds == pytest.approx(160 * 0.010 + 160 * 0.050, rel=1e-9)


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ({"provenance": HERE | {"host": "another"}}, ()),
        ({"provenance": HERE | {"device": "NVIDIA H200"}}, ()),
        ({"provenance": {}}, ()),
        ({"height": 16}, ()),
        ({}, ("width=8",)),
    ],
    ids=["another host", "another device", "unknown place", "other images", "another network"],
)
def test_what_was_timed_elsewhere_says_nothing(store: Store, place: dict[str, Any], values: tuple[str, ...]) -> None:
    (other,) = jobs(*values)
    run = start(store, other, other.specs[0], **place)
    add_epochs(store, run, 4)
    store.end_run(run.id)
    assert make_plan(jobs(methods=("standard",)), store).seconds is None


def test_what_is_done_takes_no_time_even_where_nothing_was_timed(done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOST", "another")
    assert make_plan(jobs(), done).seconds == 0.0
    assert make_plan(jobs(seeds=3), done).seconds is None


@pytest.mark.parametrize("field", ["method_settings", "training"])
def test_a_run_of_another_version_of_a_method_does_not_stop_the_planning(store: Store, field: str) -> None:
    (job,) = jobs()
    foreign = dataclasses.replace(job.specs[0], **{field: getattr(job.specs[0], field) | {"gone_since": 1}})
    add_epochs(store, start(store, job, foreign), 4)
    assert len(make_plan([job], store).to_train) == 1


# ---- checks of rigour


def test_every_checkpoint_is_examined_once(done: Store) -> None:
    asked = jobs(checks=True, train_seeds=2)
    plan = make_plan(asked, done)
    assert plan.examinations == 2  # the trained network, and the one to train
    without = make_plan(jobs(train_seeds=2), done)
    assert without.examinations == 0
    # an image: three looks, a gradient, ten draws of noise; two attacks of 50 steps, one of 1, four of 20
    forward = (3 + 1 + 10) + 2 * (50 + 1) + (1 + 1) + 4 * (20 + 1)
    assert plan.evaluation.forward - without.evaluation.forward == 2 * 360 * forward
    record = done.runs()[0]
    (checkpoint,) = [c for c in record.checkpoints if c.name == "last"]
    assert not make_plan(jobs(checks=True), done).idle
    done.add_examination(checkpoint.id, asked[0].examination("model"), (), 1.0, {})
    assert make_plan(asked, done).examinations == 1
    assert make_plan(jobs(checks=True), done).idle


def test_of_many_images_a_part_is_examined(done: Store) -> None:
    plans = [
        make_plan([dataclasses.replace(job, images=Images(1000)) for job in jobs(checks=checks)], done)
        for checks in (True, False)
    ]
    (job, *_) = jobs()
    assert plans[0].evaluation.total - plans[1].evaluation.total == EXAMPLES * passes(job.threat).total
    assert EXAMPLES < 1000


@pytest.mark.parametrize(
    "values", [(), ("evaluation.steps=10",), ("evaluation.epsilon=0.1",), ("block_size=7",)], ids=str
)
def test_a_board_finds_what_was_examined_under_its_protocol(values: tuple[str, ...]) -> None:
    (job,) = jobs(*values, checks=True)
    record = job.protocol_record()
    scope = Scope.of_document(record.document, record.attacks, job.examples)
    for kind in KINDS:
        assert scope.settings(kind) == {k: v for k, v in job.examination(kind).items() if k != "edition"}


@pytest.mark.parametrize("value", ["evaluation.steps=10", "evaluation.epsilon=0.1"])
def test_another_threat_is_another_examination(done: Store, value: str) -> None:
    record = done.runs()[0]
    (checkpoint,) = [c for c in record.checkpoints if c.name == "last"]
    done.add_examination(checkpoint.id, jobs(checks=True)[0].examination("model"), (), 1.0, {})
    assert make_plan(jobs(checks=True), done).examinations == 0
    assert make_plan(jobs(value, checks=True), done).examinations == 1
