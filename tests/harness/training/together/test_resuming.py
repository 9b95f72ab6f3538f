"""A training goes on from its state on another number of devices, also within an epoch, and on the same to the bit."""

from __future__ import annotations

import contextlib
from pathlib import Path

from torch import Tensor

from harness.errors import TrainingStopped
from harness.plugin.method import Step
from harness.runtime.stopping import ask_to_stop, take_back_stop
from harness.training.loop import Trainer
from harness.training.together.peers import ALONE, Peers
from tests.harness.training.together.group import Group
from tests.harness.training.together.trainings import UPDATES, Course, Kind, Precise, course

KIND = Kind("gairat", wrapped=True, network=Precise())
LIMIT = 1e-12


def stopped(peers: Peers, folder: Path, at: int) -> list[float]:
    """Train until somebody asks the first process to stop in an update; the losses up to there."""
    losses: list[float] = []

    class Stopping(Trainer):
        def _update(self, step: Step) -> Tensor:
            loss = super()._update(step)
            losses.append(float(loss))
            if len(losses) == at and peers.first:
                ask_to_stop("SIGTERM")
            return loss

    with contextlib.suppress(TrainingStopped):
        KIND.trainer(folder, Stopping, peers=peers).fit(lambda event: None)
        raise AssertionError("it was not stopped")
    take_back_stop()
    return losses


def test_from_two_to_one_and_back_within_an_epoch(pair: Group, tmp_path: Path) -> None:
    whole = course(ALONE, KIND, tmp_path / "whole")
    folder = tmp_path / "parts"
    first = pair.call(stopped, folder, 1)
    assert [len(losses) for losses in first] == [1, 1]  # all stop after the same update
    second = stopped(ALONE, folder, 2)
    rest: Course = pair.call(course, KIND, folder)[0]
    assert len(first[0] + second + rest.losses) == UPDATES
    assert Course(first[0] + second + rest.losses, rest.weights).apart(whole) <= LIMIT


def test_on_the_same_number_to_the_last_bit(pair: Group, tmp_path: Path) -> None:
    whole = pair.call(course, KIND, tmp_path / "whole")[0]
    for update in range(1, UPDATES):
        pair.call(stopped, tmp_path / str(update), update)
        rest = pair.call(course, KIND, tmp_path / str(update))[0]
        assert rest.losses == whole.losses[update:]
        assert rest.apart(Course(rest.losses, whole.weights)) == 0
