"""AutoAttack: the authors' package, block by block, with nothing global left changed."""

from __future__ import annotations

import logging
import sys
import warnings
from types import FrameType
from typing import Any

import pyautoattack
import pytest
import torch
from torch import Tensor, nn

from harness.attacks.autoattack import AutoAttack
from harness.errors import HarnessError
from harness.evaluator import evaluate
from tests.attacks.package import EPSILON, Net, block
from tests.tiny import draws, make_threat

pytestmark = pytest.mark.usefixtures("few_iterations")


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


def test_parameters_that_ask_for_gradients_get_none_and_ask_again() -> None:
    model = Net().eval()
    next(model.parameters()).requires_grad_(False)
    asking = [parameter.requires_grad for parameter in model.parameters()]
    x, y = block(model, n=6)
    perturb(model, x, y)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.parameters()] == asking


def test_three_classes_are_refused() -> None:
    model = Net(classes=3).eval()
    x, y = block(model, n=6)
    with pytest.raises(HarnessError, match="needs 4 classes or more"):
        perturb(model, x, y)


class Dynamic(Net):
    """A network that asks for a gradient in its forward pass, as a defence that adapts to its input does."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            inner = x.detach().clone().requires_grad_()
            torch.autograd.grad(super().forward(inner).sum(), inner)
        return super().forward(x)


def test_a_dynamic_model_is_told_and_does_not_taint_the_next() -> None:
    suspicious, sound = Dynamic().eval(), Net().eval()
    x, y = block(sound, n=6)
    with pytest.warns(UserWarning, match="dynamic defense"):
        perturb(suspicious, x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        perturb(sound, x, y)
