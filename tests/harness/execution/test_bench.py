"""A bench under a clock that only passes move: its figures by hand, its time, and the same passes as a real run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import Tensor, nn

from harness.execution import bench as engine
from harness.execution.bench import BenchFigures, measure, record_of_bench
from harness.execution.bench_attacks import AttackBench
from harness.execution.bench_items import Item
from harness.execution.bench_steps import StepBench
from harness.execution.peak import Arithmetic, Peak
from harness.fast.folded import Folded
from harness.planning.bench_job import BenchJob, resolve_bench, split_passes
from harness.planning.request import RunRequest
from harness.planning.trials import training_passes
from harness.plugin.attack import Attack, Passes
from harness.plugin.method import Step
from harness.plugin.threat import Threat
from harness.training.loop import Trainer, initial_model
from tests.harness.execution.ticking import BACKWARD_S, FORWARD_S, TICKS, Ticking
from tests.harness.training.given import dataset, spec

DIGITS = RunRequest(methods=(), network="smallcnn", dataset="digits", device="cpu", values=("width=2",))
METHODS = ("gair-trades", "gairat", "lrat", "lrat-trades", "mart", "sat", "standard", "trades")
ATTACKS = ("autoattack", "cw", "fgsm", "natural", "noise", "pgd")
NOTHING = Arithmetic(1.0, 1.0, 1.0)


@pytest.fixture
def job() -> BenchJob:
    """The digits' protocol, on the network that moves the clock."""
    TICKS.begin()
    whole = resolve_bench(DIGITS)
    methods = {name: whole.methods[name] for name in METHODS}
    attacks = {name: whole.attacks[name] for name in ATTACKS}
    return dataclasses.replace(whole, network=Ticking(), methods=methods, attacks=attacks, plain=True)


@pytest.fixture
def bench(job: BenchJob, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], BenchFigures]:
    def run(seconds: float) -> BenchFigures:
        monkeypatch.setattr(engine, "measure_peak", lambda *_: Peak(convolution=2.0, product=1.0))
        return measure(job, seconds=seconds, clock=TICKS)

    return run


def model_of(job: BenchJob) -> nn.Module:
    return initial_model(job.network, job.likeness.shape, 0).eval().requires_grad_(False)


def of(items: tuple[Item, ...]) -> dict[str, Item]:
    return {item.name: item for item in items}


def seconds(passes: Passes) -> float:
    return passes.forward * FORWARD_S + passes.backward * BACKWARD_S


def test_every_figure_by_hand(bench: Callable[[float], BenchFigures], job: BenchJob) -> None:
    found = bench(250.0)
    training, attacks = of(found.training), of(found.attacks)
    assert list(training) == list(job.methods)
    assert len(training) == 8
    assert list(attacks) == list(job.attacks)
    for name, item in training.items():
        passes = training_passes(job.methods[name], job.training_threat)
        assert item.timed.measured, name
        assert (item.images, item.timed.passes) == (64, passes)
        assert item.timed.seconds == pytest.approx(seconds(passes), rel=1e-9), name
        crafting, _ = split_passes(job.methods[name], job.training_threat)
        assert item.shares["crafting"] == pytest.approx(seconds(crafting) / seconds(passes), abs=1e-9)
        assert sum(item.shares.values()) == pytest.approx(1.0)
        assert max(item.shares["data"], item.shares["other"]) == pytest.approx(0.0)
    for name in ("natural", "noise", "fgsm", "pgd", "cw"):
        item = attacks[name]
        passes = job.attacks[name].passes(job.protocol.evaluation_threat) + Passes(1, 0)
        assert item.timed.measured, name
        assert item.timed.seconds == pytest.approx(seconds(passes), rel=1e-9), name
    # 12 s of the clock for each image of AutoAttack: it is not run, and its time follows from its passes
    assert not attacks["autoattack"].timed.measured
    whole = job.attacks["autoattack"].passes(job.protocol.evaluation_threat) + Passes(1, 0)
    assert attacks["autoattack"].timed.seconds == pytest.approx(seconds(whole), rel=1e-9)


def test_what_is_kept_says_what_was_found(bench: Callable[[float], BenchFigures], job: BenchJob) -> None:
    found = bench(10.0)
    kept = record_of_bench(job, found)
    assert (kept.network, kept.image, kept.precision, kept.plain) == ("ticking", (1, 8, 8), "float32", True)
    assert kept.training["sat"] == of(found.training)["sat"].timed
    assert kept.attacks["autoattack"] == of(found.attacks)["autoattack"].timed
    assert kept.beside["threads"] == {"training": 1, "attacks": 1}
    assert kept.beside["images_together"]["sat"] == of(found.training)["sat"].images
    assert kept.beside["versions"]["torch"] == torch.__version__.split("+")[0]


@pytest.mark.parametrize("budget", [3.0, 20.0])
def test_it_ends_in_time_however_slow_the_machine_is(budget: float, bench: Callable[[float], BenchFigures]) -> None:
    found = bench(budget)
    assert found.took_s == TICKS.seconds
    assert budget / 4 <= found.took_s <= 1.5 * budget
    for item in (*found.training, *found.attacks):
        assert item.timed.measured == bool(item.each_s)
        # the clock is exact, so what is computed from other items agrees with what would have been measured
        assert item.timed.seconds == pytest.approx(seconds(item.timed.passes), rel=1e-6), item.name


def test_with_more_time_more_is_measured(bench: Callable[[float], BenchFigures]) -> None:
    counts = []
    for budget in (3.0, 20.0, 100.0):
        TICKS.begin()
        found = bench(budget)
        counts.append(sum(item.timed.measured for item in (*found.training, *found.attacks)))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


# ---- the same passes as a real run


@dataclass
class Counted:
    images: int = 0
    forward: int = 0
    backward: int = 0

    @property
    def passes(self) -> Passes:
        return Passes(self.forward / self.images, self.backward / self.images)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Counts the images and the passes of every update of any trainer."""
    counted, own = Counted(), Trainer._update

    def update(self: Trainer, step: Step) -> Tensor:
        before = TICKS.forward, TICKS.backward
        loss = own(self, step)
        counted.images += len(step.x) if step.turn == 0 else 0
        counted.forward += TICKS.forward - before[0]
        counted.backward += TICKS.backward - before[1]
        return loss

    monkeypatch.setattr(Trainer, "_update", update)
    return counted


@pytest.mark.parametrize("name", ["standard", "sat", "gairat", "trades", "lrat", "mart"])
def test_a_step_has_the_passes_of_a_real_run(name: str, job: BenchJob, updates: Counted, tmp_path: Path) -> None:
    data = dataset(32)
    document = dataclasses.replace(
        spec(data, epochs=2), method=name, training=job.protocol.training_document | {"epochs": 2}
    )
    Trainer(document, 1, type(job.methods[name])(), job.network, data, tmp_path).fit(lambda _event: None)
    real = updates.passes

    steps = StepBench(job, model_of(job), NOTHING, TICKS)
    updates.images = updates.forward = updates.backward = 0
    trainer = steps._trainer(name, 8)
    trainer.begin()
    trainer.train_epoch(trainer.protocol.epochs, lambda _event: None)
    assert updates.passes == real
    assert steps.expected(name).timed.passes == real


def test_a_step_crafts_as_a_real_run_does(job: BenchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    from harness.plugin.adversary import Crafter, ascend

    def crafter(plain: bool) -> Crafter:
        asked.append(plain)
        return ascend

    monkeypatch.setattr("harness.execution.bench_steps.crafter_for", crafter)
    for plain in (True, False):
        StepBench(dataclasses.replace(job, plain=plain), model_of(job), NOTHING, TICKS)._trainer("sat", 8)
    assert asked == [True, False]


@pytest.mark.parametrize("plain", [True, False])
def test_a_step_has_the_memory_layout_of_a_real_run(plain: bool) -> None:
    job = dataclasses.replace(resolve_bench(DIGITS), plain=plain)
    trainer = StepBench(job, model_of(job), NOTHING, TICKS)._trainer("sat", 8)
    trainer.begin()
    convolutions = [module for module in trainer.model.modules() if isinstance(module, nn.Conv2d)]
    assert {c.weight.is_contiguous() for c in convolutions if c.in_channels > 1} == {plain}


def test_faster_layers_are_compared_as_rarely_as_past_the_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, fits = list[int](), Folded.fits

    def counted(self: Folded, x: Tensor) -> bool:
        compared.append(len(x))
        return fits(self, x)

    monkeypatch.setattr(Folded, "fits", counted)
    job = dataclasses.replace(resolve_bench(DIGITS), plain=False)
    trainer = StepBench(job, model_of(job), NOTHING, TICKS)._trainer("sat", 8)
    trainer.begin()
    trainer.dataset = job.likeness.images(20 * trainer.protocol.batch_size, job.device)
    compared.clear()  # of what timed the passes
    trainer.train_epoch(trainer.protocol.epochs, lambda _event: None)
    assert len(compared) == 2  # of twenty updates the first and the eleventh


@dataclass(frozen=True, kw_only=True)
class Hasty(Attack):
    """Declares ten passes, and stops after one."""

    name: ClassVar[str] = "hasty"

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        model(x)
        return x

    def passes(self, threat: Threat) -> Passes:
        return Passes(10, 0)


def test_an_attack_that_stops_early_is_scaled_up_to_its_end(job: BenchJob) -> None:
    hasty = dataclasses.replace(job, attacks={"hasty": Hasty()})
    attacks = AttackBench(hasty, model_of(job), NOTHING, TICKS)
    item = attacks.measured(attacks.expected("hasty"), 10.0, 10.0)
    assert item.timed.seconds == pytest.approx(11 * FORWARD_S, rel=1e-9)
    assert not item.timed.measured


@dataclass(frozen=True, kw_only=True)
class Lacking(Hasty):
    """Needs a package that is not there."""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        raise ModuleNotFoundError("no module of that name")


def test_an_attack_whose_package_is_missing_is_computed(job: BenchJob) -> None:
    lacking = dataclasses.replace(job, attacks={"hasty": Lacking()})
    attacks = AttackBench(lacking, model_of(job), NOTHING, TICKS)
    expected = attacks.expected("hasty")
    assert attacks.measured(expected, 10.0, 10.0) == expected
    assert expected.timed.seconds == pytest.approx(11 * FORWARD_S, rel=1e-9)


def test_no_image_breaks_so_that_attacks_go_on(job: BenchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.evaluator import Verdicts, evaluate

    seen: list[Verdicts] = []

    def heard(*args: Any, **kwargs: Any) -> Verdicts:
        seen.append(evaluate(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr("harness.execution.bench_attacks.evaluate", heard)
    every = dataclasses.replace(job, attacks=resolve_bench(DIGITS).attacks)
    attacks = AttackBench(every, model_of(job), NOTHING, TICKS)
    for name in ("natural", "pgd", "apgd-ce"):
        item = attacks.measured(attacks.expected(name), 60.0, 60.0)
        assert item.images > 1
    assert all(bool(verdicts.correct.all()) for verdicts in seen)


# ---- what is measured


def test_it_takes_the_methods_and_attacks_that_ship_and_random_images_in_the_data_sets_shape() -> None:
    photographs = resolve_bench(dataclasses.replace(DIGITS, network="resnet18", dataset="cifar10", values=()))
    assert {"standard", "sat", "trades", "gairat", "lrat", "mart"} <= set(photographs.methods)
    assert {"natural", "pgd", "cw", "autoattack", "square"} <= set(photographs.attacks)
    data = photographs.likeness.images(300, torch.device("cpu"))
    assert data.train.images.shape == (300, 3, 32, 32)
    assert (int(data.train.images.min()), int(data.train.images.max())) == (0, 255)
    assert sorted(set(data.train.labels.tolist())) == list(range(10))
    assert (data.augmentation.crop_padding, data.augmentation.flip) == (4, True)
    digits = resolve_bench(DIGITS).likeness
    assert (digits.shape, digits.levels, digits.augmentation.flip) == ((1, 8, 8, 10), 16, False)
    assert int(digits.images(300, torch.device("cpu")).train.images.max()) == 16


def test_passes_of_crafting_and_of_the_update_by_hand(job: BenchJob) -> None:
    threat = job.training_threat  # ten steps
    by_hand = {
        "standard": (Passes(0, 0), Passes(1, 1)),
        "sat": (Passes(10, 10), Passes(1, 1)),
        "trades": (Passes(11, 10), Passes(2, 2)),
        "lrat": (Passes(20, 20), Passes(3, 3)),
    }
    assert {name: split_passes(cast(Any, job.methods[name]), threat) for name in by_hand} == by_hand
