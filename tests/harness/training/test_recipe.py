"""What changes in the course of a training, against torch's schedulers, by hand, and in the weights of a training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, OneCycleLR

from harness.errors import SettingError
from harness.methods.sat import SAT
from harness.methods.standard import Standard
from harness.networks.smallcnn import SmallCNN
from harness.plugin.method import Step
from harness.plugin.threat import Threat
from harness.protocols.protocol import load_protocol
from harness.protocols.train_protocol import TrainProtocol
from harness.training.batches import epoch_batches
from harness.training.loop import Trainer, initial_model
from harness.training.schedule import learning_rate, momentum, threat_in
from tests.harness.training.given import checkpoints, dataset
from tests.stores import make_spec

DIGITS = load_protocol("digits")


def recipe(**values: Any) -> TrainProtocol:
    drops = {} if values.get("schedule", "steps") == "steps" else {"lr_drops": ()}
    return DIGITS.with_values({f"train.{key}": value for key, value in (drops | values).items()}).train


def optimiser(lr: float) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


@pytest.mark.parametrize(("epochs", "rise"), [(100, 0.3), (400, 0.025), (7, 0.3), (3, 0.025), (20, 0.4), (2, 0.9)])
def test_cosine_cycle_is_torchs_one_cycle_after_each_epoch(epochs: int, rise: float) -> None:
    mine = recipe(schedule="cosine-cycle", epochs=epochs, lr=0.2, lr_rise=rise, momentum=0.95, momentum_low=0.85)
    sgd = optimiser(0.2)
    theirs = OneCycleLR(sgd, max_lr=0.2, total_steps=epochs, pct_start=rise)
    for epoch in range(1, epochs + 1):
        group = sgd.param_groups[0]
        assert learning_rate(mine, epoch, 0.3) == pytest.approx(group["lr"], rel=1e-9)
        assert momentum(mine, epoch) == pytest.approx(group["momentum"], rel=1e-9)
        sgd.step()
        theirs.step() if epoch < epochs else None


def test_cosine_cycle_is_at_its_highest_where_torch_divides_by_zero() -> None:
    assert learning_rate(recipe(schedule="cosine-cycle", epochs=4, lr=0.2, lr_rise=0.25), 1) == 0.2


def test_cosine_is_torchs_at_the_end_of_each_epoch() -> None:
    sgd, mine = optimiser(0.3), recipe(schedule="cosine", epochs=8, lr=0.3)
    theirs = CosineAnnealingLR(sgd, T_max=8)
    for epoch in range(1, 9):
        sgd.step()
        theirs.step()
        assert learning_rate(mine, epoch) == pytest.approx(sgd.param_groups[0]["lr"], abs=1e-12)
    assert learning_rate(mine, 3, 0.5) == pytest.approx(0.15 * (1 + math.cos(math.pi * 2.5 / 8)))


def test_one_cycle_with_its_peak_in_the_middle_is_torchs_triangle() -> None:
    sgd, mine = optimiser(0.2), recipe(schedule="one-cycle", epochs=6, lr=0.2, lr_rise="1/2")
    theirs = CyclicLR(sgd, base_lr=0.0, max_lr=0.2, step_size_up=12, step_size_down=12)  # 4 updates an epoch
    for update in range(24):
        sgd.step()
        theirs.step()
        rate = learning_rate(mine, 1 + update // 4, (update % 4 + 1) / 4)
        assert rate == pytest.approx(sgd.param_groups[0]["lr"], abs=1e-12)


@pytest.mark.parametrize("schedule", ["steps", "one-cycle", "cosine", "cosine-cycle"])
def test_a_warm_up_multiplies_the_rate_of_any_schedule(schedule: str) -> None:
    plain, warmed = recipe(schedule=schedule), recipe(schedule=schedule, lr_warmup=0.2)  # 4 of 20 epochs
    for epoch, share, factor in [(1, 0.25, 1 / 16), (2, 1.0, 1 / 2), (4, 0.5, 7 / 8), (4, 1.0, 1), (13, 0.5, 1)]:
        assert learning_rate(warmed, epoch, share) == pytest.approx(factor * learning_rate(plain, epoch, share))


def test_the_radius_and_the_step_rise_together_from_epoch_to_epoch() -> None:
    whole = Threat(epsilon=0.2, steps=10, step_size=0.05, start="uniform")
    protocol = recipe(epsilon_warmup=0.2)
    assert [threat_in(protocol, whole, epoch).epsilon for epoch in (1, 2, 3, 4, 5, 20)] == pytest.approx(
        [0.05, 0.1, 0.15, 0.2, 0.2, 0.2]
    )
    assert threat_in(protocol, whole, 3).step_size == pytest.approx(0.15 / 4)
    assert threat_in(protocol, whole, 4) == whole
    assert threat_in(recipe(), whole, 1) is whole


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"schedule": "cosine", "lr_drops": "0.5"}, "schedule=cosine is refused together with lr_drops"),
        ({"lr_rise": 0.3}, "lr_rise=0.3 is refused with schedule=steps"),
        ({"schedule": "cosine", "lr_rise": 0.3}, "lr_rise=0.3 is refused with schedule=cosine"),
        ({"schedule": "one-cycle", "lr_rise": 1}, "lr_rise=1 is refused"),
        ({"schedule": "one-cycle", "momentum_low": 0.5}, "goes with schedule=cosine-cycle alone"),
        ({"schedule": "cosine-cycle", "momentum_low": 0.9}, r"must be less than momentum=0\.9"),
        ({"momentum": 0, "nesterov": True}, "nesterov=true is refused with a momentum of 0"),
        ({"lr_warmup": 1}, "lr_warmup=1 is refused"),
        ({"clip_norm": 0}, "clip_norm=0 is refused"),
        ({"epsilon_warmup": 0.05}, "epsilon_warmup=0.05 is refused with 20 epochs"),
    ],
)
def test_what_would_have_no_effect_is_refused(values: dict[str, Any], refusal: str) -> None:
    with pytest.raises(SettingError, match=refusal):
        recipe(**values)


class Watched(Trainer):
    """Keeps the budget that each update's method sees."""

    def _update(self, step: Step) -> Tensor:
        self.__dict__.setdefault("radii", []).append(step.threat.epsilon)
        return super()._update(step)


def trainer(directory: Path, method: Any, **values: Any) -> Watched:
    directory.mkdir(exist_ok=True)
    data = dataset(32)
    small: dict[str, Any] = {"epochs": 2, "batch_size": 16, "steps": 2}
    protocol = DIGITS.with_values({f"train.{key}": value for key, value in (small | values).items()})
    spec = make_spec(data, network_settings={"width": 4}, training=protocol.training_document)
    return Watched(spec, 1, method, SmallCNN(width=4), data, directory)


def test_nesterov_and_clipping_are_their_formulas(tmp_path: Path) -> None:
    """Four updates, again by hand: g <- min(1, c / |g|) g + w p; v <- m v + g; p <- p - lr (g + m v)."""
    mine = trainer(tmp_path, Standard(), nesterov=True, clip_norm=0.5, momentum=0.8, weight_decay=0.01)
    mine.fit(lambda _event: None)
    model = initial_model(SmallCNN(width=4), mine.dataset.shape, mine.spec.train_seed)
    parameters, speeds, norms = list(model.parameters()), [torch.zeros_like(p) for p in model.parameters()], []
    model.train()
    for epoch in (1, 2):
        for x, y in epoch_batches(mine.dataset, 16, mine.spec.train_seed, epoch):
            loss = nn.functional.cross_entropy(model(x), y)
            gradients = torch.autograd.grad(loss, parameters)
            norm = math.sqrt(sum(float(g.pow(2).sum()) for g in gradients))
            norms.append(norm)
            with torch.no_grad():
                for parameter, gradient, speed in zip(parameters, gradients, speeds, strict=True):
                    moved = gradient * min(1.0, 0.5 / norm) + 0.01 * parameter
                    speed.mul_(0.8).add_(moved)
                    parameter.sub_(learning_rate(mine.protocol, epoch) * (moved + 0.8 * speed))
    assert max(norms) > 0.5  # so that clipping does something
    for ours, theirs in zip(parameters, mine.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_method_sees_the_radius_of_its_epoch_and_a_stop_changes_nothing(tmp_path: Path) -> None:
    values: dict[str, Any] = {"epochs": 3, "epsilon_warmup": 1, "schedule": "cosine-cycle", "lr_drops": ()}
    values |= {"momentum_low": 0.7, "clip_norm": 1.0}
    whole, events = trainer(tmp_path / "whole", SAT(), **values), list[Any]()
    whole.fit(events.append)
    assert whole.__dict__["radii"] == pytest.approx([0.2 / 3] * 2 + [0.4 / 3] * 2 + [0.2] * 2)

    def stop(_event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "parts", SAT(), **values).fit(stop)
    again: list[Any] = []
    trainer(tmp_path / "parts", SAT(), **values).fit(again.append)
    assert checkpoints(again) == checkpoints(events)
