"""Checks of rigour as work: on how many images, in how large batches, and beside which figures they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.data.digits import Digits
from harness.events import Began, Event, Examined, Finding, Logged
from harness.execution.attacked import Attacked
from harness.execution.attacking import Attacking
from harness.execution.claims import Claims
from harness.execution.course import Course
from harness.execution.executors.executor import InProcess
from harness.execution.plan import Plan
from harness.execution.summary import Summary
from harness.execution.work import ExamineWork
from harness.planning.assessment import DatasetPlace
from harness.planning.cost import Prices
from harness.planning.gaps import model_gap
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.plugin.dataset import Dataset
from harness.plugin.images import Images
from harness.plugin.network import Shape
from harness.rigour.budgets import EXAMPLES
from harness.rigour.checks import examine_model
from harness.store.store import Store
from harness.targets.model import Weights
from tests.stores import add_evaluation
from tests.tiny import make_threat

THREAT = make_threat(steps=2)


class Counting(nn.Sequential):
    """A linear network that keeps the sizes of its batches."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 10))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).sin().view_as(parameter))
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        logits: Tensor = self[1](self[0](x))
        return logits


@dataclass(frozen=True, kw_only=True)
class Linear(Weights):
    """Its weights."""

    sizes: list[int] = field(default_factory=list, compare=False)

    def model(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        return Counting(self.sizes)

    def check(self, plugins: tuple[Path, ...]) -> None:
        """It was just made."""


def examined(folder: Path, name: str, examples: int, block_size: int) -> tuple[Examined, list[int]]:
    """What an examination finds, and the sizes of the batches that the model saw."""
    data = Digits().load(folder)
    weights = Linear(label="linear", checkpoint="given", sha256=name)
    events: list[Event] = []
    ExamineWork(
        place=DatasetPlace(source="digits", settings={}, data_dir=folder),
        dataset_fingerprint=data.fingerprint,
        folder=folder,
        device=torch.device("cpu"),
        threads=1,
        plugins=(),
        weights=weights,
        checkpoint_id=1,
        threat=THREAT,
        images=Images(examples),
        block_size=block_size,
        settings={},
    ).perform(events.append)
    (event,) = [event for event in events if not isinstance(event, (Began, Logged))]
    assert isinstance(event, Examined)
    return event, weights.sizes


def test_no_more_images_go_through_together_than_under_an_attack(tmp_path: Path) -> None:
    event, sizes = examined(tmp_path, "small blocks", 100, 32)
    assert max(sizes) == 32
    data = Digits().load(tmp_path)
    x, y = data.pixels(data.test.images[:100]), data.test.labels[:100]
    assert event.findings == tuple(examine_model(Counting([]), x, y, THREAT, batch=32, names=data.classes))
    assert any(finding.value for finding in event.findings)


def test_of_many_images_only_those_that_are_examined_become_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits, converted = Digits().load(tmp_path), []
    many = Dataset(digits.name, digits.test, digits.train, digits.classes, digits.levels)
    pixels = Dataset.pixels

    def counted(self: Dataset, images: Tensor) -> Tensor:
        converted.append(len(images))
        return pixels(self, images)

    monkeypatch.setattr(Digits, "load", lambda _self, _folder: many)
    monkeypatch.setattr(Dataset, "pixels", counted)
    event, sizes = examined(tmp_path, "many images", len(many.test), EXAMPLES)
    assert len(many.test) > EXAMPLES
    assert converted == [EXAMPLES]
    assert max(sizes) == EXAMPLES
    whole = examine_model(Counting([]), pixels(many, many.test.images), many.test.labels, THREAT, names=many.classes)
    assert event.findings == tuple(whole)  # of the same images, evenly spaced over the labels


def test_verdicts_are_examined_in_one_ball_on_one_set_of_images_under_the_settings_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = ("evaluation.attacks=natural,pgd", "block_size=3")
    request = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", device="cpu", seeds=2, limit=4)
    (job,) = resolve_run(replace(request, values=values))
    store = Store.write(str(tmp_path / "results.db"))
    fields: dict[str, Any] = {"network": "linear", "network_settings": {}, "network_departures": {}}
    model = store.see_model("theirs", job.dataset_record(), sha256="d" * 64, parameters=1, provenance={}, **fields)
    store.add_examination(model.checkpoint.id, job.examination("model"), (), 1.0, {})

    def put(
        attack: str, settings: dict[str, Any], seed: int, verdicts: list[int], examples: int = 4, *warn: str
    ) -> None:
        how: dict[str, Any] = {"seed": seed, "examples": examples, "sample": "balanced", "warnings": warn}
        add_evaluation(store, model.checkpoint, attack, settings, verdicts, **how)

    pgd = job.attack_settings("pgd")
    put("natural", job.attack_settings("natural"), 0, [1, 1, 1, 0])
    put("pgd", pgd, 0, [1, 0, 1, 0], 4, "beware")
    put("pgd", pgd, 1, [1, 1, 0, 0], 4, "of the dog")
    put("fgsm", {"epsilon": job.threat.epsilon}, 0, [1, 1, 0, 0])  # not asked for, and yet evidence
    put("pgd", pgd | {"steps": 7}, 0, [0, 0, 0, 0])
    put("fgsm", {"epsilon": job.threat.epsilon / 2}, 0, [0, 0, 0, 1])
    put("noise", {"epsilon": job.threat.epsilon}, 0, [0, 0, 1], 3)
    put("square", {"epsilon": job.threat.epsilon}, 0, [0, 0, 1])  # the last image is missing
    given: list[Any] = []
    finding = Finding("a-check", "flagged", "Q", 1.0, 0.5, "why", {})

    def examine(*arguments: Any) -> list[Finding]:
        given.append(arguments)
        return [finding]

    monkeypatch.setattr("harness.execution.verdict_checks.examine_verdicts", examine)
    known = store.checkpoint(model.checkpoint.id)
    gap = model_gap(job, "given", ("linear", {}), known)
    assert not gap.items
    weights = Linear(label="linear", checkpoint="given", sha256="d" * 64)
    attacked = Attacked(gap, weights, model.checkpoint.id, tmp_path)
    prices, summary, executor, told = Prices([]), Summary(), InProcess(), list[Event]()
    with Claims(store, told.append) as claims:
        attacking = Attacking(store, told.append, summary, prices, claims, blocks=0)
        course = Course(Plan(told.append, prices), told.append, summary, claims, attacking)
        course.perform([], [attacked], executor, executor)
    ((verdicts, types, labels, warnings, block, names),) = given
    assert verdicts == {
        "natural": [bytes([1, 1, 1, 0])],
        "pgd": [bytes([1, 0, 1, 0]), bytes([1, 1, 0, 0])],
        "fgsm": [bytes([1, 1, 0, 0])],
    }
    assert (types["fgsm"].kind, types["square"].kind) == ("single-step", "black-box")  # also those not asked for
    assert labels.tolist() == job.dataset.test.labels[job.dataset.places(job.images)].tolist()
    assert warnings == {"natural": [], "pgd": ["beware", "of the dog"], "fgsm": []}
    assert block == 3
    assert names == job.dataset.classes
    assert store.checkpoint(model.checkpoint.id).findings(job.scope) == (finding,)
