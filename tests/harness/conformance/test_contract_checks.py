"""Each contract check against a plugin that breaks just what it asks for: it must say so, in its author's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.conformance import run_checks
from harness.plugin.adversary import CrossEntropy
from harness.plugin.attack import Attack, Passes
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.plugin.settings import Plugin
from harness.plugin.threat import Threat
from harness.plugin.wrapper import Backward, Loss, Wrapper


def complaints(kind: str, plugin: Plugin) -> dict[str, str]:
    return {finding.check: finding.problem for finding in run_checks(kind, plugin) if finding.problem}


@dataclass(frozen=True, kw_only=True)
class BadMethod(Method):
    """SAT with one thing wrong."""

    wrong: str = ""

    def prepare(self, model: nn.Module) -> None:
        self.memory["count"] = torch.zeros(())

    def loss(self, step: Step) -> Tensor:
        if self.wrong == "raises":
            raise KeyError("beta")
        if self.wrong == "exits":
            raise SystemExit(0)
        if self.wrong == "mode":
            step.model.eval()
        if self.wrong == "concatenated":
            logits = step.model(torch.cat([step.x, step.perturb(CrossEntropy()).x]))
            return F.cross_entropy(logits, step.y.repeat(2))
        if self.wrong == "crafts in training mode":
            for _ in range(10):
                step.model(step.x)
        variant = step.perturb(CrossEntropy())
        losses = F.cross_entropy(step.model(variant.x), step.y, reduction="none")
        if self.wrong == "vector":
            return losses
        if self.wrong == "number":
            return float(losses.detach().mean())  # type: ignore[return-value]
        if self.wrong == "nan":
            return losses.mean() * torch.nan
        if self.wrong == "detached":
            return losses.mean().detach()
        if self.wrong == "frozen layer":
            features = step.model[:4](step.x).detach()  # type: ignore[index]
            return F.cross_entropy(step.model[4](features), step.y) + 0 * losses.detach().mean()  # type: ignore[index]
        if self.wrong == "weights":
            weights = losses / losses.sum()
            step.log("weight_mean", weights.mean())
            return (weights * losses).sum()
        if self.wrong == "logs a vector":
            step.log("weights", losses.detach())
        if self.wrong == "backward":
            losses.mean().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        if self.wrong == "global generator":
            return losses.mean() * torch.rand(())
        if self.wrong == "forgets":
            count = self.__dict__.setdefault("_hidden", [])
            count.append(1)
            return losses.mean() * len(count)
        if self.wrong == "unsavable":
            self.memory["function"] = CrossEntropy()
        return losses.mean()


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        (
            "raises",
            "the loss is a scalar tensor",
            r"it raised KeyError: 'beta' \(.*test_contract_checks.py, line \d+\)",
        ),
        ("exits", "the loss is a scalar tensor", r"it raised SystemExit: 0 \(.*test_contract_checks.py, line \d+\)"),
        ("vector", "the loss is a scalar tensor", r"loss has shape \(12,\); return a scalar"),
        ("number", "the loss is a scalar tensor", "returned a float; return a tensor"),
        ("nan", "the loss is finite", "loss is nan on a batch of 12"),
        ("detached", "a gradient reaches every parameter", "carries no gradient"),
        ("frozen layer", "a gradient reaches every parameter", r"does not depend on 0\.weight, 0\.bias, 1\.weight"),
        ("weights", "logged weights are scalars without gradient", "it logs weight_mean with a gradient"),
        ("logs a vector", "logged weights are scalars without gradient", r"logs weights of shape \(12,\)"),
        ("mode", "the network is left in training mode", "left the network in evaluation mode"),
        ("backward", "no gradient is left in the parameters", "call no backward"),
        ("global generator", "torch's global generator is not used", "draws from torch's global generator"),
        ("global generator", "equal steps give equal losses", "gave different losses"),
        ("concatenated", "crafting leaves batch-norm alone", r"passes batches of \[24\] images for a batch of 12"),
        ("crafts in training mode", "crafting leaves batch-norm alone", "11 passes in training mode"),
        ("forgets", "its memory survives a save and a load", "keep what it remembers in self.memory"),
        ("unsavable", "its memory survives a save and a load", "keep tensors, numbers, strings, networks"),
    ],
)
def test_a_bad_method_is_told_what_is_wrong(wrong: str, check: str, words: str) -> None:
    found = complaints("method", BadMethod(wrong=wrong))
    assert check in found
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[check])


def test_a_good_method_hears_nothing() -> None:
    assert complaints("method", BadMethod()) == {}


@dataclass(frozen=True, kw_only=True)
class BadAttack(Attack):
    """A random attack with one thing wrong."""

    seeded: ClassVar[bool] = True
    budget: ClassVar[tuple[str, ...]] = ("epsilon",)
    wrong: str = ""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        if self.wrong == "list":
            return [x]  # type: ignore[return-value]
        if self.wrong == "shape":
            return x[:, :1]
        if self.wrong == "type":
            return x.double()
        if self.wrong == "nan":
            return x * torch.nan
        if self.wrong == "changes the network":
            with torch.no_grad():
                next(model.parameters()).add_(1)
        if self.wrong == "training mode":
            model.train()
        if self.wrong == "backward":
            with torch.enable_grad():
                model(x).sum().backward()
        if self.wrong == "costs":
            model(x)
        if self.wrong == "needs three classes":
            model(x).topk(3, 1)
        if self.wrong == "not seeded":
            return (x + threat.epsilon).clamp(max=1)
        source = None if self.wrong == "global generator" else generator
        noise = threat.epsilon * (2 * torch.rand(x.shape, generator=source) - 1)
        if self.wrong == "far":
            return (x + 3 * noise).clamp(0, 1)
        if self.wrong == "reads steps":
            noise = noise / threat.steps
        return x + noise if self.wrong == "outside the image" else (x + noise).clamp(0, 1)

    def passes(self, threat: Threat) -> Passes:
        return Passes()


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("list", "it returns images", "returned a list"),
        ("shape", "it returns images", r"returned shape \(3, 1, 6, 6\) for images of \(3, 3, 6, 6\)"),
        ("type", "it returns images", r"returned torch\.float64"),
        ("nan", "it returns images", "returned NaN"),
        ("far", "they are inside the ball and [0, 1]", r"outside the ball of 0\.1"),
        ("outside the image", "they are inside the ball and [0, 1]", r"stay in \[0, 1\]"),
        ("global generator", "the given generator alone decides", "draws from torch's global generator"),
        ("not seeded", "it says whether the seed matters", "say seeded = False"),
        ("changes the network", "the network is left as it was", r"changed 0\.weight"),
        ("training mode", "the network is left as it was", "left the network in training mode"),
        ("backward", "the network is left as it was", "left a gradient"),
        ("reads steps", "it names what it reads of the threat", "name 'steps' in budget"),
        (
            "needs three classes",
            "it takes as few classes as it says",
            "with 2 classes it raised .*; say in fewest_classes",
        ),
        (
            "costs",
            "it costs no more passes than it says",
            r"took 1 forward passes an image, and passes\(\) says at most 0",
        ),
    ],
)
def test_a_bad_attack_is_told_what_is_wrong(wrong: str, check: str, words: str) -> None:
    found = complaints("attack", BadAttack(wrong=wrong))
    assert check in found
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[check])


def test_a_good_attack_hears_nothing() -> None:
    assert complaints("attack", BadAttack()) == {}


class Odd(nn.Module):
    def __init__(self, inner: nn.Module, wrong: str) -> None:
        super().__init__()
        self.inner, self.wrong = inner, wrong

    def forward(self, x: Tensor) -> Tensor:
        if self.wrong == "detached":
            x = x.detach()
        if self.wrong == "in place":
            x -= 0.5
        if self.wrong == "begins in place":
            x = x.relu_()
        logits: Tensor = self.inner(x)
        if self.wrong == "tuple in training" and self.training:
            return logits, logits  # type: ignore[return-value]
        if self.wrong == "no gradient in evaluation" and not self.training:
            return logits.detach()
        if self.wrong == "one image is a vector":
            return logits.squeeze(0)
        if self.wrong == "float64":
            return logits.double()
        if self.wrong == "infinite":
            return logits / 0
        if self.wrong == "probabilities":
            return logits.softmax(1)
        if self.wrong == "random":
            return logits + torch.rand_like(logits)
        if self.wrong == "batch":
            return logits - logits.mean(0)
        return logits[:, :2] if self.wrong == "classes" else logits


@dataclass(frozen=True, kw_only=True)
class BadNetwork(Network):
    """A linear network with one thing wrong."""

    wrong: str = ""

    def build(self, shape: Shape) -> nn.Module:
        if self.wrong == "crashes on odd sizes" and shape.height != shape.width:
            raise ZeroDivisionError
        pixels = shape.channels * shape.height * shape.width
        inner = nn.Sequential(nn.Flatten(), nn.Linear(pixels, shape.classes))
        if self.wrong == "lazy":
            inner[1] = nn.LazyLinear(shape.classes)
        if self.wrong == "empty":
            inner[1] = nn.AdaptiveAvgPool1d(shape.classes)
        if self.wrong == "frozen":
            inner.requires_grad_(False)
        if self.wrong == "function":
            return inner.forward  # type: ignore[return-value]
        if self.wrong == "own generator" and inner[1].weight.device.type == "cpu":
            nn.init.normal_(inner[1].weight, generator=torch.Generator().manual_seed(id(inner) % 2**31))
        return Odd(inner, self.wrong)


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("function", "it has parameters to train", "build gives a method; give a torch.nn.Module"),
        ("lazy", "it has parameters to train", r"inner\.1\.weight, inner\.1\.bias has no shape before the first pass"),
        ("empty", "it has parameters to train", "it has no parameters"),
        ("frozen", "it has parameters to train", "all its parameters are frozen"),
        ("classes", "it gives logits", r"gives shape \(2, 2\)"),
        ("tuple in training", "it gives logits", "in training mode it gives a tuple; give one tensor"),
        ("one image is a vector", "it gives logits", r"for images \(1, 1, 8, 8\) of 4 classes, it gives shape \(4,\)"),
        ("no gradient in evaluation", "it gives logits", "in evaluation mode its logits carry no gradient"),
        ("float64", "it gives logits", r"its logits are torch\.float64; give torch\.float32"),
        ("infinite", "it gives logits", "its logits are not finite"),
        ("in place", "it gives logits", "it writes into the images that it is given"),
        ("begins in place", "it gives logits", "it writes into the images that it is given"),
        ("probabilities", "it gives logits", "give logits, before softmax"),
        ("random", "evaluation mode is deterministic", "it draws random numbers"),
        ("batch", "evaluation mode is deterministic", "depend on the other images"),
        ("detached", "gradients reach the images", "no gradient reaches the images"),
        (
            "own generator",
            "the seed decides the initial weights and what is drawn",
            "the same seed gives different weights",
        ),
        ("crashes on odd sizes", "it refuses images that do not fit", "ZeroDivisionError; raise SettingError"),
    ],
)
def test_a_bad_network_is_told_what_is_wrong(wrong: str, check: str, words: str) -> None:
    found = complaints("network", BadNetwork(wrong=wrong))
    assert check in found
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[check])


def test_a_good_network_hears_nothing() -> None:
    assert complaints("network", BadNetwork()) == {}


@dataclass(frozen=True, kw_only=True)
class BadWrapper(Wrapper):
    """A wrapper with one thing wrong."""

    wrong: str = ""

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        value = torch.zeros(()) if self.wrong == "no gradient" else inner(step, loss)
        if self.wrong == "moves":
            with torch.no_grad():
                next(step.model.parameters()).add_(0.1)
        if self.wrong == "forgets":
            calls: list[Any] = self.__dict__.setdefault("_calls", [])
            calls.append(1)
            for parameter in step.model.parameters():
                assert parameter.grad is not None
                parameter.grad.mul_(len(calls))
        return value

    def published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"other": torch.zeros(1)} if self.wrong == "publishes" else weights


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("no gradient", "it leaves gradients, and weights where they were", r"no finite gradient in 0\.weight"),
        ("moves", "it leaves gradients, and weights where they were", r"backward changed 0\.weight"),
        ("publishes", "it publishes weights of the network", "other names or shapes"),
        ("forgets", "its memory survives a save and a load", "continues differently"),
    ],
)
def test_a_bad_wrapper_is_told_what_is_wrong(wrong: str, check: str, words: str) -> None:
    found = complaints("wrapper", BadWrapper(wrong=wrong))
    assert check in found
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[check])


def test_a_good_wrapper_hears_nothing() -> None:
    assert complaints("wrapper", BadWrapper()) == {}
