"""Blocks of an evaluation: every example has one verdict, whatever sizes its blocks had."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.identity import digest
from harness.planning.gaps import attack_gaps, missing_blocks
from harness.planning.missing import find_missing
from harness.planning.run_job import RunJob
from harness.plugin.images import Images
from harness.store.records import EvaluationRecord
from harness.store.store import Store
from tests.harness.planning.carried import add_blocks, carry_out, jobs, places


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
    (place,) = places(find_missing([natural], store))
    add_blocks(store, place, (0,))
    assert find_missing(jobs("evaluation.attacks=natural", "block_size=500"), store).complete == 0


@pytest.fixture(scope="module")
def one_job() -> RunJob:
    (job,) = jobs()
    return job


def sized(job: RunJob, examples: int, block_size: int) -> RunJob:
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
    one_job: RunJob, data: st.DataObject, examples: int, block_size: int
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
    gaps = list(attack_gaps(job, evaluations))
    assert [(gap.attack, gap.seed) for gap in gaps] == list(there)
    for gap in gaps:
        stored = there[gap.attack, gap.seed]
        assert sorted([*(first for first, _ in gap.blocks), *stored]) == every
        missing = [i for first, length in gap.blocks for i in range(first, first + length)]
        assert gap.images == len(missing)
