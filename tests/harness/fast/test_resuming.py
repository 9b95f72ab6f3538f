"""A resumed training crafts with the faster layers where an uninterrupted one does, so both agree to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.fast.crafting import EVERY, FastCrafter
from harness.fast.folded import Folded
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.method import Step
from harness.training.loop import Trainer
from tests.harness.training.given import dataset, spec

EPOCHS, AFTER = 4, 2


class Sweeps(SAT):
    """Changes an attribute of the network at every update, so that it is traced again as often as is allowed."""

    def loss(self, step: Step) -> Tensor:
        step.model.progress = step.progress  # type: ignore[assignment]
        return super().loss(step)


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
