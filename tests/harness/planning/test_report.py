"""A model's report on hand-made evaluations: every figure by hand, and nothing that was not asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.identity import digest
from harness.planning.report import report, report_document
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.statistics.figures import wilson
from harness.store.records import CheckpointRecord, EvaluationRecord

VERDICTS = {  # 8 images
    "natural": ["11111110"],
    "pgd": ["11110000", "01111000", "11100000"],
    "cw": ["11011100", "11011000"],
}


@pytest.fixture(scope="module")
def job() -> RunJob:
    values = ("evaluation.attacks=natural,pgd,cw", "block_size=8")
    request = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", device="cpu", seeds=2, limit=8)
    (found,) = resolve_run(replace(request, values=values))
    return found


def evaluation(job: RunJob, attack: str, seed: int, **changes: Any) -> EvaluationRecord:
    settings, right = job.attack_settings(attack), VERDICTS[attack][seed].count("1")
    record = EvaluationRecord(
        id=10 * list(VERDICTS).index(attack) + seed,
        attack=attack,
        settings=settings,
        settings_sha256=digest(settings),
        seed=seed,
        examples=8,
        sample="balanced",
        done=8,
        correct=right,
        blocks=((0, 8),),
        duration_s=1.0,
        warnings=(),
        provenance={},
    )
    return replace(record, **changes)


def checkpoint(job: RunJob, *more: EvaluationRecord, without: tuple[str, ...] = ()) -> CheckpointRecord:
    held = [
        evaluation(job, attack, seed)
        for attack, verdicts in VERDICTS.items()
        for seed in range(len(verdicts))
        if attack not in without
    ]
    return CheckpointRecord(1, "last", 2, "c" * 64, (*held, *more))


BYTES = {
    10 * place + seed: bytes(map(int, verdicts))
    for place, several in enumerate(VERDICTS.values())
    for seed, verdicts in enumerate(several)
}


def test_figures_are_of_the_seeds_that_were_asked_for(job: RunJob) -> None:
    found = report("theirs", checkpoint(job), job, BYTES)
    assert [(r.attack, r.figure.median, r.figure.n) for r in found.results] == [
        ("natural", 87.5, 1),
        ("pgd", 50.0, 2),  # 4 and 4 of 8; a third seed has 3
        ("cw", 56.25, 2),  # 5 and 4
    ]
    assert found.results[2].interval == wilson(56.25, 8)
    # 11111110, 11110000, 01111000, 11011100, and 11011000 share the second image and the fourth
    assert found.worst_case == 100 * 2 / 8
    assert found.worst_case_interval == wilson(25.0, 8)


def test_other_settings_other_images_and_what_is_not_complete_play_no_part(job: RunJob) -> None:
    strangers = (
        evaluation(job, "pgd", 0, settings_sha256="another", correct=0, id=90),
        evaluation(job, "pgd", 0, examples=9, done=9, correct=0, id=91),
        evaluation(job, "pgd", 1, done=4, correct=0, id=92),
    )
    assert report("theirs", checkpoint(job, *strangers), job, BYTES) == report("theirs", checkpoint(job), job, BYTES)


def test_without_one_of_the_attacks_there_is_no_worst_case(job: RunJob) -> None:
    found = report("theirs", checkpoint(job, without=("cw",)), job, BYTES)
    assert [result.attack for result in found.results] == ["natural", "pgd"]
    assert (found.worst_case, found.worst_case_interval) == (None, None)
    assert report_document(found)["worst_case"] is None


def test_the_document_says_what_each_number_is(job: RunJob) -> None:
    document = report_document(report("theirs", checkpoint(job), job, BYTES))
    interval = wilson(50.0, 8)
    assert document["metrics"]["pgd"] == {
        "settings": {},
        "median": 50.0,
        "std": 0.0,
        "n": 2,
        "wilson": {"low": interval.low, "high": interval.high, "level": 0.95},
    }
    assert document["worst_case"]["attacks"] == {"natural": 1, "pgd": 2, "cw": 2}
    assert {key: document[key] for key in ("model", "checkpoint", "epsilon", "examples", "findings")} == {
        "model": "theirs",
        "checkpoint": "last",
        "epsilon": job.threat.epsilon,
        "examples": 8,
        "findings": [],
    }
