"""What is recorded while a network is trained: nothing else changes, and each point is what an evaluation would say."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.attacks.pgd import PGD
from harness.errors import PluginError
from harness.evaluator import evaluate
from harness.events import CurvePoint, EpochDone, Event, Part
from harness.execution.recording import CurveRecorder
from harness.methods.gairat import GAIRAT
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.planning.curve_plan import CurveAttack, CurvePlan
from harness.plugin.attack import Attack, Passes
from harness.plugin.dataset import Dataset, Split
from harness.plugin.images import balanced_order
from harness.plugin.method import Method
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.registry.catalogue import discover
from harness.registry.shipped import code_of
from harness.runtime.seeds import generator
from harness.training.checkpoints import load_weights
from harness.training.loop import Trainer, initial_model
from harness.training.state_file import STATE_FILE, read_state
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.given import dataset as noise
from tests.harness.training.given import spec
from tests.tiny import make_threat

EPOCHS = 3
THREAT = make_threat(steps=3)


def dataset() -> Dataset:
    """50 training images, and their negatives as 30 test images."""
    data = noise()
    return replace(data, test=Split(255 - data.train.images[:30], data.train.labels[:30]))


def used(name: str) -> CurveAttack:
    attack = cast(Attack, discover("attacks", ()).get(name)())
    return CurveAttack(name=name, settings=attack.resolved(), code=code_of(type(attack)), identity={"k": 1})


def plan(*, every: int = 1, block_size: int = 500) -> CurvePlan:
    made = (used("natural"), used("pgd"))
    size = {"block_size": block_size, "passes": Passes(9, 3)}
    return CurvePlan(every=every, epochs=EPOCHS, attacks=made, threat=THREAT, **size)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Dropping(Network):
    """A network that draws."""

    def build(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(shape.channels * 64, shape.classes))


@dataclass(frozen=True, kw_only=True)
class Counting(Wrapper):
    """Counts how often its weights were asked for, draws, and trains by the count."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["asked"] = 0

    def published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        self.memory["asked"] += 1
        torch.rand(3)
        return weights

    def after(self, model: nn.Module) -> None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 - 0.001 * self.memory["asked"])


def train(
    folder: Path,
    recorded: CurvePlan | None,
    method: Method | None = None,
    network: Network | None = None,
    wrappers: Sequence[Wrapper] = (),
    stop_after: int | None = None,
) -> dict[int, tuple[CurvePoint, ...]]:
    """Train, and give the points of each epoch that was reported."""
    folder.mkdir(exist_ok=True)
    data, points = dataset(), dict[int, tuple[CurvePoint, ...]]()
    recorder = None if recorded is None else CurveRecorder(recorded, data, (), plain=False)
    network = network or SmallCNN(width=2)
    trainer = Trainer(spec(data, EPOCHS), 1, method or SAT(), network, data, folder, [*wrappers], recorder=recorder)

    def hear(event: Event) -> None:
        if isinstance(event, EpochDone):
            points[event.record.epoch] = event.record.curve
            if event.record.epoch == stop_after:
                raise KeyboardInterrupt

    try:
        trainer.fit(hear)
    except KeyboardInterrupt:
        assert stop_after is not None
    return points


def weights(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.safetensors"))}


def state(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = torch.load(io.BytesIO(read_state(folder / STATE_FILE)), weights_only=True)
    return {name: document[name] for name in ("model", "optimizer", "method", "wrappers")}


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


@pytest.mark.parametrize(
    ("method", "network", "wrappers"),
    [
        (SAT(), SmallCNN(width=2), ()),
        (GAIRAT(burn_in=0.0), SmallCNN(width=2), (AWP(), EMA(decay=0.5))),
        (SAT(), Dropping(), (EMA(decay=0.5),)),
        (SAT(), SmallCNN(width=2), (Counting(),)),
    ],
    ids=["sat", "gairat with awp and ema", "a network that draws", "a wrapper that counts"],
)
def test_a_training_is_equal_to_the_last_bit_with_it_and_without(
    method: Method, network: Network, wrappers: tuple[Wrapper, ...], tmp_path: Path
) -> None:
    ways = {"with": plan(), "without": None}
    for name, recorded in ways.items():
        fresh = [type(wrapper).from_mapping(wrapper.resolved()) for wrapper in wrappers]  # they remember
        points = train(tmp_path / name, recorded, method, network, [w for w in fresh if isinstance(w, Wrapper)])
        assert all(map(bool, points.values())) == (recorded is not None)
    assert weights(tmp_path / "with") == weights(tmp_path / "without")
    assert equal(state(tmp_path / "with"), state(tmp_path / "without"))


def sample(data: Dataset, part: Part) -> tuple[Tensor, Tensor]:
    split = data.train if part == "train" else data.test
    order = list(balanced_order(tuple(split.labels.tolist()))[:128])
    return split.images[order].float() / data.levels, split.labels[order]


@pytest.mark.parametrize("wrappers", [(), (EMA(decay=0.9),)], ids=["plain", "ema"])
def test_each_point_is_what_an_evaluation_of_the_saved_weights_says(
    wrappers: tuple[Wrapper, ...], tmp_path: Path
) -> None:
    points = train(tmp_path, plan(block_size=20), wrappers=[EMA(decay=0.9) for _ in wrappers])
    data = dataset()
    model = initial_model(SmallCNN(width=2), data.shape, 7)  # other weights, which are replaced
    file = tmp_path / "last.safetensors"
    model.load_state_dict(load_weights(file, hashlib.sha256(file.read_bytes()).hexdigest()))
    seen = {(point.part, point.attack): point for point in points[EPOCHS]}
    assert seen.keys() == {(part, attack) for part in ("test", "train") for attack in ("natural", "pgd")}
    parts: tuple[Part, ...] = ("test", "train")
    for part in parts:
        x, y = sample(data, part)
        with torch.no_grad():
            right = model.eval()(x).argmax(1) == y
        natural = seen[part, "natural"]
        assert (natural.images, natural.correct) == (len(y), int(right.sum()))
        robust = 0
        for start in range(0, len(y), 20):
            draws = generator(torch.device("cpu"), 0, "curve", part, "pgd", start)
            block = slice(start, start + 20)
            robust += int(evaluate(model, PGD(), x[block], y[block], THREAT, draws).correct.sum())
        assert seen[part, "pgd"].correct == robust
        assert seen[part, "pgd"].settings == {"k": 1}


def test_a_resumed_training_reports_the_same_points_again(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", plan(every=2))
    train(tmp_path / "stopped", plan(every=2), stop_after=2)
    resumed = train(tmp_path / "stopped", plan(every=2))

    def counts(points: dict[int, tuple[CurvePoint, ...]]) -> dict[int, list[CurvePoint]]:
        return {epoch: [replace(point, duration_s=0.0) for point in each] for epoch, each in points.items()}

    assert counts(resumed) == counts(whole)
    assert [epoch for epoch, each in whole.items() if each] == [2, 3]  # and after the last epoch


class Failing(PGD):
    """Refuses every block."""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Any, generator: torch.Generator) -> Tensor:
        raise PluginError("no block suits it")


def test_a_measurement_that_fails_is_logged_once_and_fails_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(PGD, "perturb", Failing.perturb)
    monkeypatch.setattr(PGD, "perturb_pure", Failing.perturb)
    with caplog.at_level(logging.WARNING, "harness.recording"):
        points = train(tmp_path / "failing", plan())
    monkeypatch.undo()
    assert not any(points.values())
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "after epoch 1 no accuracies are recorded any more"
    ]
    train(tmp_path / "without", None)
    assert weights(tmp_path / "failing") == weights(tmp_path / "without")


def test_the_code_of_an_attack_that_changed_is_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = replace(plan(), attacks=(replace(used("pgd"), code="other"),))
    with caplog.at_level(logging.WARNING, "harness.recording"):
        assert not any(train(tmp_path, other).values())
    assert "changed while the command ran" in caplog.text
