"""Costs: passes counted by hand and by a model of the test's own, and seconds from hand-made records."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.attacks._autoattack import PARTS
from harness.events import EpochRecord
from harness.networks.smallcnn import SmallCNN
from harness.planning.cost import Timings, timings
from harness.planning.passes import training_passes
from harness.plugin.adversary import CrossEntropy
from harness.plugin.attack import Attack, Passes
from harness.plugin.method import Method, Step
from harness.plugin.network import Shape
from harness.plugin.threat import Threat
from harness.plugin.wrapper import Wrapper
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.store.records import CheckpointRecord, EvaluationRecord, RunRecord
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

METHODS, ATTACKS = discover("methods"), discover("attacks")


def method(name: str, **settings: Any) -> Method:
    return cast(Method, METHODS.get(name).from_mapping(settings))


def attack(name: str, **settings: Any) -> Attack:
    return cast(Attack, ATTACKS.get(name).from_mapping(settings))


class Counting(nn.Module):
    """Counts the images that go through a model, forward and backward."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.forwards, self.backwards = model, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += len(x)
        logits: Tensor = self.model(x)
        if logits.requires_grad:
            logits.register_hook(self._count)  # type: ignore[no-untyped-call]
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


# ---- passes


def test_passes_add_and_multiply() -> None:
    assert Passes(1, 2) + Passes(10, 20) == Passes(11, 22)
    assert Passes(1, 2).times(3) == Passes(3, 6)
    assert Passes(1, 2).total == 3
    assert Passes() == Passes(0, 0)


# Crafting n variants takes n K forward and n K backward passes, and one forward pass where the clean prediction is
# wanted (KL). The update takes one of each for every set of inputs: the images, and each variant.
PASSES: list[tuple[str, dict[str, Any], int, int, int]] = [
    # method, settings, variants, clean predictions, sets of inputs in the update
    ("standard", {}, 0, 0, 1),
    ("sat", {}, 1, 0, 1),
    ("gairat", {}, 1, 0, 1),
    ("trades", {}, 1, 1, 2),
    ("gair-trades", {}, 1, 1, 2),
    ("lrat", {}, 2, 0, 3),
    ("lrat", {"floor": "pgd"}, 2, 0, 2),
    ("lrat", {"floor": "none"}, 2, 0, 2),
    ("lrat", {"attacks": "pgd", "floor": "none"}, 1, 0, 1),
    ("lrat", {"attacks": "cw", "floor": "natural"}, 1, 0, 2),
    ("lrat-trades", {}, 2, 0, 3),
    ("lrat-trades", {"first": "kl"}, 2, 1, 3),
    ("lrat-trades", {"attacks": "cw"}, 1, 0, 2),
    ("mart", {}, 1, 0, 2),
]


@pytest.mark.parametrize("steps", [10, 3])
@pytest.mark.parametrize(("name", "settings", "variants", "clean", "inputs"), PASSES)
def test_passes_of_a_training_image_by_hand(
    name: str, settings: dict[str, Any], variants: int, clean: int, inputs: int, steps: int
) -> None:
    crafted = variants * steps
    expected = Passes(crafted + clean + inputs, crafted + inputs)
    assert training_passes(method(name, **settings), make_threat(steps=steps)) == expected


def test_the_numbers_of_the_papers_protocol() -> None:
    threat = load_protocol("paper").train.threat(8 / 255)
    assert training_passes(method("standard"), threat) == Passes(1, 1)
    assert training_passes(method("sat"), threat) == Passes(11, 11)
    assert training_passes(method("lrat"), threat) == Passes(23, 23)


@dataclass(frozen=True, kw_only=True)
class Uneven(Method):
    """Looks at every image without gradient, crafts from half of them, and learns from the other half twice."""

    def loss(self, step: Step) -> Tensor:
        if step.progress < 0.9:
            raise AssertionError("this is the burn-in, which costs less")
        with torch.no_grad():
            step.model(step.x)
        half = len(step.x) // 2
        dataclasses.replace(step, x=step.x[:half], y=step.y[:half]).perturb(CrossEntropy())
        again = step.x[half:].repeat(2, 1, 1, 1)
        logits: Tensor = step.model(again)
        return logits.sum()


def test_passes_of_a_new_method_are_counted_not_declared() -> None:
    assert training_passes(Uneven(), make_threat(steps=4)) == Passes(1 + 0.5 * 4 + 1, 0.5 * 4 + 1)


WRAPPERS = discover("wrappers")


@pytest.mark.parametrize(
    ("names", "updates"), [(("awp",), 2), (("ema",), 1), (("awp", "ema"), 2), (("ema", "awp"), 2)], ids=str
)
def test_passes_of_a_wrapped_update_by_hand(names: tuple[str, ...], updates: int) -> None:
    # awp takes the update's passes once more, and crafts no more; ema looks at the weights alone
    wrappers = [cast(Wrapper, WRAPPERS.get(name)()) for name in names]
    sat, trades = (training_passes(method(name), make_threat(steps=4), wrappers) for name in ("sat", "trades"))
    assert sat == Passes(4 + updates, 4 + updates)
    assert trades == Passes(4 + 1 + 2 * updates, 4 + 2 * updates)


def test_passes_are_counted_through_the_network_that_is_trained() -> None:
    shape = Shape(channels=1, height=8, width=8, classes=10)
    assert training_passes(method("trades"), make_threat(steps=4), (), SmallCNN(width=2), shape) == Passes(7, 6)


@dataclass(frozen=True, kw_only=True)
class Inquisitive(Method):
    """Looks into the network, and remembers something of it."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["convolutions"] = sum(isinstance(module, nn.Conv2d) for module in model.modules())

    def loss(self, step: Step) -> Tensor:
        logits: Tensor = step.model(step.x)
        return logits.sum() / int(self.memory["convolutions"])  # three, in smallcnn


def test_a_method_may_look_into_the_network_and_is_left_without_memory_of_the_count() -> None:
    inquisitive, shape = Inquisitive(), Shape(channels=1, height=8, width=8, classes=10)
    assert training_passes(inquisitive, make_threat(), (), SmallCNN(width=2), shape) == Passes(1, 1)
    assert inquisitive.memory == {}


def test_counting_draws_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    training_passes(method("sat"), make_threat())
    assert torch.equal(torch.get_rng_state(), before)


# ---- attacks


def attacked(name: str, threat: Threat, **settings: Any) -> tuple[Passes, Passes]:
    """The passes for an image that an attack took, and those that it declares."""
    model, (x, y) = Counting(make_tiny_model().eval()), make_batch(n=4)
    made = attack(name, **settings)
    made.perturb(model, x, y, threat, draws())
    return Passes(model.forwards / 4, model.backwards / 4), made.passes(threat)


OURS = sorted(name for name in ATTACKS.found if name not in (*PARTS, "autoattack"))  # theirs stop early


@pytest.mark.parametrize("start", ["uniform", "gaussian", "none"])
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("name", OURS)
def test_every_attack_takes_the_passes_that_it_declares(name: str, steps: int, start: str) -> None:
    taken, declared = attacked(name, make_threat(steps=steps, start=start))
    assert taken == declared


@pytest.mark.parametrize("name", ["pgd", "cw"])
def test_judging_the_worst_iterate_takes_one_pass_more(name: str) -> None:
    taken, declared = attacked(name, make_threat(steps=5), keep="worst")
    assert taken == declared == Passes(6, 5)


def test_declared_passes_by_hand() -> None:
    threat = load_protocol("paper").evaluation.threat(8 / 255)
    declared = {name: attack(name).passes(threat) for name in ("natural", "pgd", "cw")}
    assert declared == {"natural": Passes(0, 0), "pgd": Passes(20, 20), "cw": Passes(20, 20)}


class Unbreakable(nn.Module):
    """Ten classes, far apart and hardly moved by the image: no attack flips it, so every part runs to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(4, 10, generator=draws()))
        self.offset = 5 * torch.randn(10, generator=draws(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.flatten(1) @ self.weight) + self.offset


@pytest.fixture(scope="module")
def autoattack_passes() -> Passes:
    """What AutoAttack takes for one image that none of its parts breaks."""
    model = Counting(Unbreakable().eval())
    x = torch.rand(1, 1, 2, 2, generator=draws(2))
    y = model(x).argmax(1)
    model.forwards = model.backwards = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x_adv = attack("autoattack").perturb(model, x, y, make_threat(epsilon=0.01), draws())
    assert torch.equal(model.model(x_adv).argmax(1), y)
    return Passes(model.forwards, model.backwards)


def test_what_autoattack_declares_is_near_what_it_takes(autoattack_passes: Passes) -> None:
    declared = attack("autoattack").passes(make_threat())
    assert declared.forward == pytest.approx(autoattack_passes.forward, rel=0.01)
    assert declared.backward == pytest.approx(autoattack_passes.backward, rel=0.01)


def test_what_autoattack_declares_is_an_upper_bound(autoattack_passes: Passes) -> None:
    declared = attack("autoattack").passes(make_threat())
    assert autoattack_passes.forward <= declared.forward
    assert autoattack_passes.backward <= declared.backward


# ---- seconds

TRAINING = {"epsilon": 0.1, **load_protocol("paper").train.resolved()}  # 10 steps


def record(name: str, *epochs: tuple[int, float], evaluations: tuple[EvaluationRecord, ...] = ()) -> RunRecord:
    """A run of a method with default settings; each epoch by its images and seconds."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(RunRecord))
    values |= {
        "method": name,
        "method_settings": {},
        "wrappers": [],
        "training": TRAINING,
        "created_utc": datetime(2026, 1, 1),
    }
    values["epochs"] = tuple(EpochRecord(i, 0.0, 0.1, *epoch) for i, epoch in enumerate(epochs, start=1))
    values["checkpoints"] = (CheckpointRecord(1, "last", 1, "", evaluations),)
    return RunRecord(**values)


def evaluation(name: str, done: int, duration_s: float) -> EvaluationRecord:
    return EvaluationRecord(1, name, {}, name, 0, 100, done, 0, (), duration_s, (), {})


def test_seconds_of_a_training_pass_by_hand() -> None:
    # sat, 22 passes an image: 200 images in 11 + 33 s; standard, 2 passes an image: 50 images in 2 s
    sat = record("sat", (100, 11.0), (100, 33.0))
    assert timings([sat], METHODS) == Timings(44 / (200 * 22), {})
    both = timings([sat, record("standard", (50, 2.0))], METHODS)
    assert both.training_pass == pytest.approx(46 / (200 * 22 + 50 * 2), rel=1e-12)


def test_passes_of_a_stored_run_are_those_of_its_own_protocol_and_settings() -> None:
    short = dataclasses.replace(record("sat", (100, 8.0)), training=TRAINING | {"steps": 3})
    assert timings([short], METHODS).training_pass == pytest.approx(8 / (100 * 8), rel=1e-12)
    settings = {"attacks": "pgd", "floor": "none"}  # as many passes as sat
    narrow = dataclasses.replace(record("lrat", (100, 22.0)), method_settings=settings)
    assert timings([narrow], METHODS).training_pass == pytest.approx(22 / (100 * 22), rel=1e-12)


def test_seconds_of_an_attack_are_the_mean_over_all_images_that_it_attacked() -> None:
    first = record("sat", evaluations=(evaluation("pgd", 40, 2.0), evaluation("natural", 10, 1.0)))
    second = record("sat", evaluations=(evaluation("pgd", 60, 4.0), evaluation("cw", 0, 0.0)))
    assert timings([first, second], METHODS) == Timings(None, {"pgd": 0.06, "natural": 0.1})


def test_a_run_of_an_unknown_method_tells_its_attacks_times_alone() -> None:
    unknown = record("gone", (100, 5.0), evaluations=(evaluation("pgd", 10, 5.0),))
    assert timings([unknown], METHODS) == Timings(None, {"pgd": 0.5})


def test_a_wrapped_run_tells_its_attacks_times_alone() -> None:
    wrapped = record("sat", (100, 5.0), evaluations=(evaluation("pgd", 10, 5.0),))
    wrapped = dataclasses.replace(wrapped, wrappers=[{"name": "awp", "settings": {}, "departures": {}}])
    assert timings([wrapped], METHODS) == Timings(None, {"pgd": 0.5})


@pytest.mark.parametrize("field", ["method_settings", "training"])
def test_a_run_of_another_version_of_a_method_does_not_count(field: str) -> None:
    sat = record("sat", (100, 22.0))
    foreign = dataclasses.replace(sat, **{field: getattr(sat, field) | {"gone_since": 1}})
    assert timings([foreign], METHODS) == Timings(None, {})
    assert timings([sat, foreign], METHODS) == timings([sat], METHODS)


def test_nothing_timed_is_nothing_known() -> None:
    assert timings([], METHODS) == Timings(None, {})
    assert timings([record("sat")], METHODS) == Timings(None, {})


def test_estimates_by_hand() -> None:
    timed = Timings(0.01, {"pgd": 0.5})
    assert timed.training(Passes(3, 2)) == pytest.approx(0.05)
    assert timed.attack("pgd", 4, Passes(1000, 1000)) == 2.0  # as it was timed, whatever its passes
    assert timed.attack("cw", 4, Passes(80, 80)) == pytest.approx(1.6)
    unknown = Timings(None, {"pgd": 0.5})
    assert unknown.training(Passes(3, 2)) is None
    assert unknown.attack("cw", 4, Passes(80, 80)) is None
    assert unknown.attack("pgd", 4, Passes(80, 80)) == 2.0
