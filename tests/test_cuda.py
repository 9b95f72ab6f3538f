"""The CUDA path, where there is a device: no waiting in the inner loop, the same results, generators on the device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch

from harness.execution.bench import measure
from harness.execution.loaded import on_device
from harness.fast import graphed
from harness.fast.crafting import EVERY, FastCrafter, crafter_for
from harness.networks.smallcnn import SmallCNN
from harness.planning.bench_job import resolve_bench
from harness.planning.request import RunRequest
from harness.plugin.adversary import CrossEntropy, Margin, ascend
from harness.plugin.dataset import Augmentation
from harness.plugin.method import Method, Step
from harness.plugin.reach import Reach
from harness.registry.catalogue import discover
from harness.runtime.determinism import deterministic
from harness.runtime.device import arithmetic, resolve_device
from harness.runtime.seeds import generator
from harness.training.loop import Trainer
from harness.training.means import Means
from harness.wrappers.ema import EMA
from tests.harness.training.given import dataset, spec
from tests.tiny import make_batch, make_threat, make_tiny_model

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
METHODS = {name: found.cls for name, found in discover("methods").found.items()}


@pytest.fixture
def device() -> torch.device:
    return resolve_device("cuda")


def test_a_bench_measures_the_device(device: torch.device) -> None:
    request = RunRequest(methods=(), network="smallcnn", dataset="digits", device="cuda", precision="bfloat16")
    found = measure(resolve_bench(request), seconds=20.0)
    assert found.peak_memory == max(item.peak_bytes or 0 for item in (*found.training, *found.attacks)) > 0
    assert found.training_peak.best > found.attack_peak.best > 0
    measured = [item for item in (*found.training, *found.attacks) if item.timed.measured]
    assert {"standard", "sat", "natural", "pgd"} <= {item.name for item in measured}
    for item in found.training:
        if item.shares:
            assert sum(item.shares.values()) == pytest.approx(1.0)
            assert min(item.shares.values()) > -0.02  # events and the host's clock differ a little


def test_crafting_waits_for_nothing(device: torch.device) -> None:
    model = make_tiny_model().to(device)
    x, y = (t.to(device) for t in make_batch())
    draws = generator(device, 0, "test")
    ascend(model, x, y, [CrossEntropy()], make_threat(), draws)  # warms up: loading kernels waits
    torch.cuda.set_sync_debug_mode("error")
    try:
        ascend(model, x, y, [CrossEntropy(), Margin()], make_threat(), draws)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_whole_update_waits_for_nothing(name: str, device: torch.device) -> None:
    method = cast(Method, METHODS[name]())
    model = make_tiny_model().to(device).train()
    x, y = (t.to(device) for t in make_batch())
    means = Means(device)
    step = Step(x, y, model, make_threat(), 0.99, generator(device, 0, "test"), means.add)
    method.loss(step).backward()  # type: ignore[no-untyped-call]
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss = method.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        means.add_loss(loss.detach())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    means.raise_if_not_finite(1)


def test_crafting_agrees_with_the_cpu(device: torch.device) -> None:
    x, y = make_batch(n=64)
    threat = make_threat(start="none", steps=10)
    (on_cpu,) = ascend(make_tiny_model(), x, y, [CrossEntropy()], threat, generator(torch.device("cpu"), 0))
    with arithmetic(device, "float32"):
        model = make_tiny_model().to(device)
        (on_device,) = ascend(model, x.to(device), y.to(device), [CrossEntropy()], threat, generator(device, 0))
    different = (on_cpu.x - on_device.x.cpu()).abs() > 1e-5
    assert float(different.float().mean()) < 0.01  # a sign may flip where a gradient is almost zero
    assert float((on_cpu.steps_to_flip != on_device.steps_to_flip.cpu()).float().mean()) < 0.05


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_every_precision_trains(precision: str, device: torch.device) -> None:
    model = make_tiny_model().to(device).train()
    x, y = (t.to(device) for t in make_batch())
    step = Step(x, y, model, make_threat(), 0.99, generator(device, 0, "test"), lambda _name, _value: None)
    with arithmetic(device, precision):  # type: ignore[arg-type]
        loss = cast(Method, METHODS["lrat"]()).loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
    assert bool(loss.isfinite())


@pytest.mark.parametrize("stop_after", [None, 1])
def test_steps_are_recorded_once_and_agree_with_plain_ones(
    stop_after: int | None, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, own = [], graphed.cuda_graph

    def counted(run: Callable[[], None]) -> Callable[[], None]:
        recorded.append(run)
        return own(run)

    monkeypatch.setattr(graphed, "cuda_graph", counted)
    model, craft = make_tiny_model().to(device).train(), FastCrafter()
    for seed in range(2 * EVERY + 2):  # the layers are compared in between, and the graph still reads them
        x, y = (t.to(device) for t in make_batch(seed=seed))
        radii = None if stop_after is None else 2 * torch.rand(len(y), device=device)
        reach = Reach(stop_after, radii)
        given, expected = (
            c(model, x, y, [CrossEntropy(), Margin()], make_threat(), generator(device, seed, "test"), reach)
            for c in (craft, ascend)
        )
        for a, b in zip(given, expected, strict=True):
            assert float((a.x == b.x).float().mean()) > 0.99
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.1 if seed % 2 else 0.9)
    assert len(recorded) == 1


@pytest.mark.parametrize("name", ["sat", "trades", "lrat", "cfa"])
def test_a_deterministic_training_goes_on_within_an_epoch_to_the_last_bit(
    name: str, device: torch.device, tmp_path: Path
) -> None:
    data = on_device(dataset(200, 12, Augmentation(crop_padding=1, flip=True)), device)

    def trained(folder: Path, stops: int) -> Trainer:
        folder.mkdir(exist_ok=True)
        craft, method = crafter_for(False, repeatable=True), cast(Method, METHODS[name]())
        made = Trainer(spec(data, 2), 1, method, SmallCNN(width=8), data, folder, [EMA()], craft, state_every_s=0)
        update, left = made._update, iter(range(stops))

        def stopping(step: Step) -> torch.Tensor:
            if next(left, None) is None and stops:
                raise KeyboardInterrupt
            return update(step)

        made._update = stopping  # type: ignore[method-assign]
        with contextlib.suppress(KeyboardInterrupt), deterministic(device, wanted=True):
            made.fit(lambda _event: None)
        return made

    whole = trained(tmp_path / "whole", 0).model.state_dict()
    for _ in range(8):
        trained(tmp_path / "parts", 3)
    parts = trained(tmp_path / "parts", 0).model.state_dict()
    assert all(torch.equal(tensor, parts[key]) for key, tensor in whole.items())
    assert (tmp_path / "whole" / "last.safetensors").read_bytes() == (
        tmp_path / "parts" / "last.safetensors"
    ).read_bytes()
