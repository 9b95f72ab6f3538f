"""Checks of rigour as work: on how many images, in how large batches, and beside which figures they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.assessment import DatasetPlace
from harness.data.digits import Digits
from harness.dataset import Dataset
from harness.events import Event, Examined
from harness.execution.work import ExamineWork
from harness.network import Shape
from harness.rigour.budgets import EXAMPLES
from harness.rigour.checks import examine_model
from harness.weights import Weights
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

    def check(self) -> None:
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
        examples=examples,
        block_size=block_size,
        settings={},
    ).perform(events.append)
    (event,) = events
    assert isinstance(event, Examined)
    return event, weights.sizes


def test_no_more_images_go_through_together_than_under_an_attack(tmp_path: Path) -> None:
    event, sizes = examined(tmp_path, "small blocks", 100, 32)
    assert max(sizes) == 32
    data = Digits().load(tmp_path)
    x, y = data.pixels(data.test.images[:100]), data.test.labels[:100]
    assert event.findings == tuple(examine_model(Counting([]), x, y, THREAT, batch=32))
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
    monkeypatch.setattr("harness.execution.work._load", lambda *_: many)
    monkeypatch.setattr(Dataset, "pixels", counted)
    event, sizes = examined(tmp_path, "many images", len(many.test), EXAMPLES)
    assert len(many.test) > EXAMPLES
    assert converted == [EXAMPLES]
    assert max(sizes) == EXAMPLES
    whole = examine_model(Counting([]), pixels(many, many.test.images), many.test.labels, THREAT)
    assert event.findings == tuple(whole)  # of the same images, evenly spaced over the labels
