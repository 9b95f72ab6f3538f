"""A training that is stopped within an epoch goes on as if nothing had happened: equal to the last bit."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import TrainingFailed, TrainingStopped
from harness.events import EpochDone, Event
from harness.methods.sat import SAT
from harness.plugin.adversary import ascend
from harness.plugin.method import Step
from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop
from harness.training.checkpoints import TrainingState
from harness.training.epoch_so_far import EpochSoFar
from harness.training.loop import Trainer
from harness.training.state_file import STATE_BEFORE, STATE_FILE, read_state
from tests.harness.training.interrupted import BATCHES, CASES, EPOCHS, UPDATES, Asked, Case, Left, die, fitted, stop
from tests.harness.training.losses import Odd
from tests.harness.training.losses import plain as plain_loss

NEVER_S = 1e9


@pytest.fixture(autouse=True)
def nobody_asks() -> Iterator[None]:
    yield
    take_back_stop()


@pytest.fixture(scope="module", params=CASES)
def named(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(named: str, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What a training leaves that nothing interrupts, and that writes no state within an epoch."""
    return fitted(CASES[named].trainer(tmp_path_factory.mktemp("whole") / "run", state_every_s=NEVER_S))


class TestEveryCase:
    def test_a_state_after_every_update_changes_nothing(self, named: str, whole: Left, tmp_path: Path) -> None:
        assert fitted(CASES[named].trainer(tmp_path / "run", state_every_s=0)).differences(whole) == []

    def test_it_may_stop_after_each_update(self, named: str, whole: Left, tmp_path: Path) -> None:
        for update in UPDATES:
            within = (update - 1) % BATCHES + 1
            told = str(stop(CASES[named], tmp_path / "run", at=1, state_every_s=NEVER_S))
            epoch = (update - 1) // BATCHES + 1
            assert f"in epoch {epoch} of {EPOCHS}, after update {within} of {BATCHES}; the same command" in told
            torch.rand(3)
        assert fitted(CASES[named].trainer(tmp_path / "run")).differences(whole) == []

    @pytest.mark.slow
    def test_it_may_die_in_any_update(self, named: str, whole: Left, tmp_path: Path) -> None:
        for update in UPDATES:
            die(CASES[named], tmp_path / str(update), at=update, state_every_s=0)
            assert fitted(CASES[named].trainer(tmp_path / str(update))).differences(whole) == []


PLAIN = CASES["augmented"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return fitted(PLAIN.trainer(tmp_path_factory.mktemp("plain") / "run"))


@pytest.mark.parametrize("update", [1, 3, 6])
def test_it_may_die_in_an_update(update: int, plain: Left, tmp_path: Path) -> None:
    die(PLAIN, tmp_path / "run", at=update, state_every_s=0)
    assert fitted(PLAIN.trainer(tmp_path / "run")).differences(plain) == []


def load(folder: Path) -> TrainingState:
    state = TrainingState.load(folder, PLAIN.trainer(folder).spec.identity, torch.device("cpu"))
    assert state is not None
    return state


class TestTwoStates:
    def test_a_damaged_one_within_an_epoch_costs_an_update_and_no_bit(
        self, plain: Left, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        die(PLAIN, tmp_path, at=7, state_every_s=0)
        newest = bytearray((tmp_path / STATE_FILE).read_bytes())
        assert load(tmp_path).place == "after epoch 1, update 2 of the next"
        newest[len(newest) // 2] ^= 1
        (tmp_path / STATE_FILE).write_bytes(newest)
        assert load(tmp_path).place == "after epoch 1, update 1 of the next"
        with caplog.at_level(logging.WARNING, "harness.training"):
            assert fitted(PLAIN.trainer(tmp_path)).differences(plain) == []
        assert "goes on from the state before it, after epoch 1, update 1 of the next" in caplog.text

    def test_a_damaged_one_does_not_take_the_place_of_the_whole_one(self, plain: Left, tmp_path: Path) -> None:
        die(PLAIN, tmp_path, at=7, state_every_s=0)
        before = (tmp_path / STATE_BEFORE).read_bytes()
        (tmp_path / STATE_FILE).write_bytes(b"")
        die(PLAIN, tmp_path, at=2, state_every_s=0)  # makes update 6 again, and writes a state after it
        assert load(tmp_path).place == "after epoch 1, update 2 of the next"
        assert (tmp_path / STATE_BEFORE).read_bytes() == before

    def test_one_of_an_older_version_goes_on(self, plain: Left, tmp_path: Path) -> None:
        die(PLAIN, tmp_path, at=BATCHES + 1)
        document = torch.load(io.BytesIO(read_state(tmp_path / STATE_FILE)), weights_only=True)
        del document["within"], document["trained"]
        torch.save(document, tmp_path / STATE_FILE)
        assert not (tmp_path / STATE_BEFORE).exists()
        assert fitted(PLAIN.trainer(tmp_path)).differences(plain) == []


class TestWhen:
    def test_it_is_written_when_its_time_has_come_since_the_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, places = 0.0, []

        class Slow(Trainer):
            def _update(self, step: Step) -> Tensor:
                nonlocal now
                now += 60.0
                return super()._update(step)

            def _write(self, state: TrainingState) -> None:
                super()._write(state)
                places.append(state.place)

        monkeypatch.setattr(time, "monotonic", lambda: now)
        PLAIN.trainer(tmp_path, Slow, state_every_s=150.0).fit(lambda event: None)
        third = "update 3 of the next"
        assert places == [f"after epoch 0, {third}", "after epoch 1", f"after epoch 1, {third}", "after epoch 2"]

    def test_the_seconds_of_an_epoch_add_up_without_those_of_writing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 10.0
        monkeypatch.setattr(time, "perf_counter", lambda: now)
        cpu, model = torch.device("cpu"), nn.Linear(1, 1)
        first = EpochSoFar(cpu, 0, 1)
        now = 14.0
        with first.uncounted():
            now = 20.0
        assert first.duration_s == 4.0
        state = first.state_dict(model, ascend)
        now, second = 100.0, EpochSoFar(cpu, 0, 1)
        second.load_state_dict(state, model, ascend)
        now = 103.0
        assert second.duration_s == 7.0

    def test_before_its_first_update_nothing_is_written(self, tmp_path: Path) -> None:
        ask_to_stop()
        with pytest.raises(TrainingStopped, match="was stopped before its first update; the same command goes on"):
            PLAIN.trainer(tmp_path / "run").fit(lambda event: None)
        assert list((tmp_path / "run").iterdir()) == []

    def test_a_finished_training_does_not_stop(self, plain: Left, tmp_path: Path) -> None:
        def ask(event: Event) -> None:
            if isinstance(event, EpochDone) and event.record.epoch == EPOCHS:
                ask_to_stop()

        PLAIN.trainer(tmp_path).fit(ask)
        assert asked_to_stop()
        assert fitted(PLAIN.trainer(tmp_path)).differences(plain) == []


@dataclass(frozen=True, kw_only=True)
class Forgetful(SAT):
    """Keeps a number outside its memory within an epoch; at the end of each it is as after ``prepare``."""

    name = "forgetful"

    def prepare(self, model: nn.Module) -> None:
        object.__setattr__(self, "number", 0)

    def loss(self, step: Step) -> Tensor:
        update = round(step.progress * EPOCHS * BATCHES) % BATCHES
        object.__setattr__(self, "number", update if update < BATCHES - 1 else 0)
        number: int = self.number  # type: ignore[attr-defined]
        return super().loss(step) * (1 + number)


class TestWhatCannotGoOn:
    """Whether a training fails must not depend on the clock: without a state within the epoch it goes on."""

    def test_of_a_method_with_a_number_of_its_own(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        case = Case(method=Forgetful)
        whole = fitted(case.trainer(tmp_path / "whole", state_every_s=NEVER_S))
        with caplog.at_level(logging.INFO, "harness.training"):
            told = str(stop(case, tmp_path / "parts", at=BATCHES + 3, state_every_s=0))
        assert "no state within epoch 2, after update 3: method 'forgetful'" in caplog.text
        assert told.endswith("after update 3 of 4; the same command goes on from the last state that was written")
        assert fitted(case.trainer(tmp_path / "parts", state_every_s=0)).differences(whole) == []

    def test_a_loss_that_is_not_finite_fails_as_without_a_stop(self, tmp_path: Path) -> None:
        explodes = Odd(does=lambda step: plain_loss(step) * (torch.inf if step.progress > 0.6 else 1.0))
        case = Case(method=lambda: explodes)
        with pytest.raises(TrainingFailed) as whole:
            case.trainer(tmp_path / "whole").fit(lambda event: None)
        trainer = case.trainer(tmp_path / "parts", Asked)
        trainer.at = BATCHES + 3  # type: ignore[attr-defined]
        with pytest.raises(TrainingFailed, match="epoch 2, batch 2") as stopped:
            trainer.fit(lambda event: None)
        assert str(stopped.value) == str(whole.value)


class Named(StrEnum):
    """A text that pickle knows by its class alone."""

    LOSS = "its loss"


def test_a_name_and_bins_of_other_types_than_python_s_own_go_on(tmp_path: Path) -> None:
    def does(step: Step) -> Tensor:
        step.log(Named.LOSS, step.x.mean())
        step.count(Named.LOSS, step.x.mean((1, 2, 3)), low=np.float64(0), high=np.float64(1), bins=3)
        return plain_loss(step)

    case = Case(method=lambda: Odd(does=does))
    whole = fitted(case.trainer(tmp_path / "whole"))
    for _ in UPDATES:
        stop(case, tmp_path / "parts", at=1)
    assert fitted(case.trainer(tmp_path / "parts")).differences(whole) == []
    assert list(whole.records[1].diagnostics) == ["its loss"]
