"""Networks that draw: one seed is one network, each epoch draws anew, and the global generators are put back."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.events import Event
from harness.methods.sat import SAT
from harness.plugin.network import Network, Shape
from harness.runtime.seeds import global_seed
from harness.training.loop import Trainer
from tests.harness.training.given import checkpoints, dataset, spec
from tests.harness.training.losses import Odd, and_plain


@dataclass(frozen=True, kw_only=True)
class Dropping(Network):
    """A network that draws from torch's, numpy's, and Python's global generators in training mode."""

    name = "dropping"

    def build(self, shape: Shape) -> nn.Module:
        class Noise(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x * (1 + 0.1 * random.random() + 0.1 * float(np.random.rand())) if self.training else x

        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Noise(), nn.Dropout(0.5), nn.Linear(8, shape.classes))


def train(folder: Path, *, epochs: int = 4, stop_after: int | None = None) -> list[Event]:
    folder.mkdir(exist_ok=True)
    data, events = dataset(), list[Event]()
    made = Trainer(spec(data, epochs), 1, SAT(), Dropping(), data, folder)

    def hear(event: Event) -> None:
        events.append(event)
        if stop_after is not None and getattr(getattr(event, "record", None), "epoch", 0) == stop_after:
            raise KeyboardInterrupt

    if stop_after is not None:
        with pytest.raises(KeyboardInterrupt):
            made.fit(hear)
    else:
        made.fit(hear)
    return events


def test_one_seed_is_one_network_for_networks_that_draw_and_after_a_stop_too(tmp_path: Path) -> None:
    first = checkpoints(train(tmp_path / "a"))
    torch.rand(5), random.random(), np.random.rand()
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    assert checkpoints(train(tmp_path / "b")) == first
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(np.random.get_state())) == states[1:]
    for epoch in (1, 3):
        train(tmp_path / f"stopped {epoch}", stop_after=epoch)
        torch.manual_seed(99)
        assert checkpoints(train(tmp_path / f"stopped {epoch}")) == first


def test_every_update_of_every_epoch_draws_anew(tmp_path: Path) -> None:
    drawn: list[float] = []
    data = dataset()
    made = Trainer(
        spec(data, 2), 1, Odd(does=and_plain(lambda _: drawn.append(random.random()))), Dropping(), data, tmp_path
    )
    made.fit(lambda event: None)
    assert len(drawn) == len(set(drawn)) == 2 * 4


def test_the_global_generators_are_seeded_and_put_back() -> None:
    cpu = torch.device("cpu")
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    with global_seed(cpu, 5):
        first = float(torch.rand(())), random.random(), float(np.random.rand())
    with contextlib.suppress(KeyError), global_seed(cpu, 5):
        assert (float(torch.rand(())), random.random(), float(np.random.rand())) == first
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state())) == before[1:]
