"""Layers that share their weights are trained, averaged, and saved as one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.events import CheckpointDone, Event
from harness.methods.sat import SAT
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.training.loop import Trainer
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.given import dataset, spec


class TwoOfOne(nn.Module):
    """Two layers that share their weights."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)
        self.b.weight = self.a.weight
        self.head = nn.Linear(64, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.b(self.a(x.flatten(1)).relu()).relu())
        return logits


@dataclass(frozen=True, kw_only=True)
class Tied(Network):
    """Shared weights."""

    name = "tied"

    def build(self, shape: Shape) -> nn.Module:
        return TwoOfOne(shape)


@pytest.mark.parametrize("wrappers", [[], [EMA(decay=0.5)], [AWP(), EMA(decay=0.5)]], ids=["plain", "ema", "awp+ema"])
def test_shared_weights_are_trained_averaged_and_saved(wrappers: list[Wrapper], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    data, events = dataset(), list[Event]()
    made = Trainer(spec(data, 2), 1, SAT(), Tied(), data, tmp_path, wrappers)
    made.fit(events.append)
    weights = load_file(tmp_path / "last.safetensors")
    assert set(weights) == set(made.model.state_dict())
    assert torch.equal(weights["a.weight"], weights["b.weight"])
    trained = made.model.state_dict()["a.weight"]
    assert torch.equal(weights["a.weight"], trained) == (not wrappers)
    again = TwoOfOne(data.shape)
    again.load_state_dict(weights)
    assert again.a.weight is again.b.weight
    assert torch.equal(again.a.weight, weights["a.weight"])
    assert {event.name for event in events if isinstance(event, CheckpointDone)} == {"early", "last"}


def test_an_average_of_shared_weights_by_hand() -> None:
    model, ema = TwoOfOne(Shape(1, 8, 8, 4)), EMA(decay=0.0)
    ema.prepare(model)
    with torch.no_grad():
        model.a.weight.fill_(2.0)
    ema.after(model)  # a decay of 0: the average is the newest weights
    published = ema.published(model.state_dict())
    assert float(published["a.weight"].mean()) == float(published["b.weight"].mean()) == 2.0
