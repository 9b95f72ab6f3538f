"""AutoAttack: the authors' package, block by block, with nothing global left changed."""

from __future__ import annotations

import logging
import sys
from types import FrameType
from typing import Any

import pyautoattack
import pytest
import torch
from torch import Tensor, nn

from attacks.autoattack import AutoAttack
from harness.errors import HarnessError
from harness.evaluation.evaluator import evaluate
from tests.tiny import draws, make_threat

EPSILON = 0.08


@pytest.fixture(autouse=True)
def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package with 5 iterations and 20 queries: its code, at a hundredth of its time."""
    original = pyautoattack.AutoAttack._set_version

    def short(self: Any, version: str = "standard") -> None:
        original(self, version)
        for attack in (self.apgd, self.apgd_targeted, self.fab):
            attack.n_iter = 5
        self.square.n_queries = 20

    monkeypatch.setattr(pyautoattack.AutoAttack, "_set_version", short)


class Net(nn.Module):
    """A fixed random network of ten classes, labelled by itself, so that every example starts right."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits


def block(model: nn.Module, n: int = 24) -> tuple[Tensor, Tensor]:
    x = torch.rand(n, 3, 4, 4, generator=draws(1))
    return x, model(x).argmax(1)


def perturb(model: nn.Module, x: Tensor, y: Tensor, seed: int = 0) -> Tensor:
    return AutoAttack().perturb(model, x, y, make_threat(epsilon=EPSILON), draws(seed))


def test_a_block_gets_what_a_plain_call_of_the_package_gets() -> None:
    model = Net().eval()
    x, y = block(model)
    seed = int(torch.randint(2**31 - 1, (), generator=draws(5)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plain = pyautoattack.AutoAttack(model, norm="Linf", eps=EPSILON, seed=seed)
        expected = plain.run_standard_evaluation(x, y, batch_size=len(x))[0]
    ours = perturb(model, x, y, seed=5)
    assert torch.equal(ours, expected)
    wrong = (model(ours).argmax(1) != y).float().mean()
    assert 0.1 < float(wrong) < 1.0


def test_the_seed_decides_and_nothing_else_does() -> None:
    model = Net().eval()
    x, y = block(model)
    first = perturb(model, x, y)
    torch.manual_seed(99)
    assert torch.equal(perturb(model, x, y), first)
    assert not torch.equal(perturb(model, x, y, seed=1), first)


def test_the_global_generator_and_the_trace_function_are_put_back() -> None:
    model = Net().eval()
    x, y = block(model, n=6)

    def trace(_frame: FrameType, _event: str, _argument: Any) -> None:
        return None

    state, before = torch.get_rng_state(), sys.gettrace()
    sys.settrace(trace)
    try:
        perturb(model, x, y)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    assert torch.equal(torch.get_rng_state(), state)


def test_its_log_goes_to_ours_and_its_warnings_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    class Probabilities(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).softmax(1)

    model = Probabilities().eval()
    x, y = block(model, n=6)
    with caplog.at_level(logging.INFO, logger="harness.attack"):
        verdicts = evaluate(model, AutoAttack(), x, y, make_threat(epsilon=EPSILON), draws())
    assert any("robust accuracy after APGD-CE" in message for message in caplog.messages)
    assert any("probability distribution" in text for text in verdicts.warnings)
    assert logging.getLogger("auto-attack").handlers == []


def test_fewer_than_ten_classes_have_fewer_targets_and_no_warning() -> None:
    model = Net(classes=5).eval()
    x, y = block(model, n=6)
    verdicts = evaluate(model, AutoAttack(), x, y, make_threat(epsilon=EPSILON), draws())
    assert not any("target" in text for text in verdicts.warnings)


def test_three_classes_are_refused() -> None:
    model = Net(classes=3).eval()
    x, y = block(model, n=6)
    with pytest.raises(HarnessError, match="needs 4 classes or more"):
        perturb(model, x, y)
