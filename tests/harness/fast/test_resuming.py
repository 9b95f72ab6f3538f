"""A resumed training crafts with the faster layers where an uninterrupted one does, so both agree to the bit."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.errors import TrainingStopped
from harness.fast.crafting import EVERY, FastCrafter
from harness.fast.folded import Folded
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.method import Step
from harness.runtime.stopping import ask_to_stop, take_back_stop
from harness.training.loop import Trainer
from tests.harness.training.given import dataset, spec

EPOCHS, AFTER, UPDATES = 4, 2, 13


STOPS = (
    1,
    3,
    5,
    10,
    13,
)  # updates of the third epoch; a few traces are allowed in its beginning


class Sweeps(SAT):
    """Changes an attribute of the network at every update, so that it is traced again as often as is allowed."""

    def loss(self, step: Step) -> Tensor:
        step.model.progress = step.progress  # type: ignore[assignment]
        return super().loss(step)


class Exchanges(SAT):
    """Gives the network another tensor at every update, which its pass does not read."""

    def loss(self, step: Step) -> Tensor:
        loss = super().loss(step)
        step.model.features = loss.detach().clone()
        return loss


class Switches(SAT):
    """Crafts with another attribute of the network than it learns with, as networks with two batch-norms have it."""

    def loss(self, step: Step) -> Tensor:
        step.model.clean = False  # type: ignore[assignment]
        loss = super().loss(step)
        step.model.clean = True  # type: ignore[assignment]
        return loss


def trained_in(directory: Path, method: SAT, *, stopped: bool) -> dict[str, Tensor]:
    """The weights; in bfloat16 the faster layers round otherwise, so it shows where they are used."""
    directory.mkdir()
    data = dataset(200, 12)

    def trainer() -> Trainer:
        asked = spec(data, EPOCHS, precision="bfloat16")
        return Trainer(asked, 1, method, SmallCNN(width=8), data, directory, craft=FastCrafter())

    def stop(event: object) -> None:
        if getattr(getattr(event, "record", None), "epoch", None) == AFTER:
            raise KeyboardInterrupt

    if stopped:
        with pytest.raises(KeyboardInterrupt):
            trainer().fit(stop)
    last = trainer()
    last.fit(lambda _event: None)
    return last.model.state_dict()


def agree(directory: Path, method: SAT) -> bool:
    whole, parts = (trained_in(directory / str(stopped), method, stopped=stopped) for stopped in (False, True))
    return all(torch.equal(own, other) for own, other in zip(whole.values(), parts.values(), strict=True))


def test_a_network_that_is_traced_as_often_as_is_allowed_goes_on_to_the_bit(tmp_path: Path) -> None:
    assert agree(tmp_path, Sweeps())


def test_a_network_that_did_not_fit_once_goes_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: dict[int, int] = {}
    fits = Folded.fits

    def not_at_one_look(self: Folded, x: Tensor) -> bool:
        looks[id(self)] = looks.get(id(self), 0) + 1
        return looks[id(self)] != EVERY + 1 and fits(self, x)

    monkeypatch.setattr(Folded, "fits", not_at_one_look)
    assert agree(tmp_path, SAT())


class StoppedAt(Trainer):
    """Is asked to stop in some updates, counted over all epochs."""

    stops: Collection[int] = ()

    def _update(self, step: Step) -> Tensor:
        if round(step.progress * EPOCHS * UPDATES) + 1 in self.stops:
            ask_to_stop()
        return super()._update(step)


@pytest.mark.parametrize("method", [SAT(), Sweeps(), Exchanges(), Switches()], ids=lambda method: type(method).__name__)
def test_it_goes_on_within_an_epoch_to_the_bit(method: SAT, tmp_path: Path) -> None:
    whole = trained_in(tmp_path / "whole", method, stopped=False)
    data, stopped = dataset(200, 12), []
    for _ in range(len(STOPS) + 1):
        asked = spec(data, EPOCHS, precision="bfloat16")
        last = StoppedAt(asked, 1, method, SmallCNN(width=8), data, tmp_path, craft=FastCrafter())
        last.stops = {2 * UPDATES + stop for stop in STOPS if stop not in stopped}
        try:
            last.fit(lambda _event: None)
        except TrainingStopped as error:
            (update,) = re.findall(r"in epoch 3 of 4, after update (\d+) of 13; .* goes on from there", str(error))
            stopped.append(int(update))
        finally:
            take_back_stop()
    assert stopped == list(STOPS)
    assert all(torch.equal(own, last.model.state_dict()[name]) for name, own in whole.items())
