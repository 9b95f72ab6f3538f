"""Checks of rigour in the plan: once for each checkpoint and threat."""

from __future__ import annotations

import dataclasses

import pytest

from harness.planning.cost import estimate
from harness.planning.missing import find_missing
from harness.plugin.images import Images
from harness.rigour.budgets import EXAMPLES, FIRST, passes_at_most
from harness.store.scope import EXAMINATION_KINDS, Scope
from harness.store.store import Store
from tests.harness.planning.carried import jobs


def test_every_checkpoint_is_examined_once(done: Store) -> None:
    asked = jobs(checks=True, train_seeds=2)
    missing = find_missing(asked, done)
    assert missing.examinations == 2  # the trained network, and the one to train
    without = find_missing(jobs(train_seeds=2), done)
    assert without.examinations == 0
    # an image: three looks, two passes for gradients, four looks at it perturbed and one at last, ten draws of noise;
    # two attacks of 50 steps, one of 1, four of 20 at other radii, two of 20 at other scales of the logits
    forward = (3 + 2 + 4 + 1 + 10) + 2 * (50 + 1) + (1 + 1) + (4 + 2) * (20 + 1)
    first = FIRST * (50 + 1)  # which a large network is attacked on before
    assert estimate(missing).evaluation.forward - estimate(without).evaluation.forward == 2 * (360 * forward + first)
    record = done.runs()[0]
    (checkpoint,) = [c for c in record.checkpoints if c.name == "last"]
    assert not find_missing(jobs(checks=True), done).idle
    done.add_examination(checkpoint.id, asked[0].examination("model"), (), 1.0, {})
    assert find_missing(asked, done).examinations == 1
    assert find_missing(jobs(checks=True), done).idle


def test_of_many_images_a_part_is_examined(done: Store) -> None:
    found = [
        find_missing([dataclasses.replace(job, images=Images(1000)) for job in jobs(checks=checks)], done)
        for checks in (True, False)
    ]
    (job, *_) = jobs()
    examined, not_examined = (estimate(missing).evaluation.total for missing in found)
    assert examined - not_examined == passes_at_most(job.threat, job.dataset.shape[:3], EXAMPLES).total
    assert EXAMPLES < 1000


@pytest.mark.parametrize(
    "values", [(), ("evaluation.steps=10",), ("evaluation.epsilon=0.1",), ("block_size=7",)], ids=str
)
def test_a_board_finds_what_was_examined_under_its_protocol(values: tuple[str, ...]) -> None:
    (job,) = jobs(*values, checks=True)
    record = job.protocol_record()
    scope = Scope.of_document(record.document, record.attacks, job.examples)
    for kind in EXAMINATION_KINDS:
        assert scope.settings(kind) == {k: v for k, v in job.examination(kind).items() if k != "edition"}


def test_newer_checks_examine_again(done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkpoint,) = [c for c in done.runs()[0].checkpoints if c.name == "last"]
    asked = jobs(checks=True)
    monkeypatch.setattr("harness.planning.assessment.EDITION", 2)
    done.add_examination(checkpoint.id, asked[0].examination("model"), (), 1.0, {})
    assert find_missing(asked, done).examinations == 0
    monkeypatch.undo()
    assert find_missing(asked, done).examinations == 1


@pytest.mark.parametrize("value", ["evaluation.steps=10", "evaluation.epsilon=0.1"])
def test_another_threat_is_another_examination(done: Store, value: str) -> None:
    record = done.runs()[0]
    (checkpoint,) = [c for c in record.checkpoints if c.name == "last"]
    done.add_examination(checkpoint.id, jobs(checks=True)[0].examination("model"), (), 1.0, {})
    assert find_missing(jobs(checks=True), done).examinations == 0
    assert find_missing(jobs(value, checks=True), done).examinations == 1
