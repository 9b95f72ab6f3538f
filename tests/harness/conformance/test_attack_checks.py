"""Each check of an attack against one that breaks just what it asks for: it must say so, in its author's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import Tensor, nn

from harness.errors import SettingError
from harness.plugin.adversary import CrossEntropy, ascend
from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat
from tests.harness.conformance.complaints import assert_complains, complaints


@dataclass(frozen=True, kw_only=True)
class BadAttack(Attack):
    """A random attack with one thing wrong."""

    kind: ClassVar[AttackKind | None] = "random"
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
        ("far", "they are inside the ball and [0, 1]", r"outside the Linf ball of 0\.1"),
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
            r"took 1 forward passes an image, but passes\(\) says at most 0",
        ),
    ],
)
def test_a_bad_attack_is_told_what_is_wrong(wrong: str, check: str, words: str) -> None:
    assert_complains("attack", BadAttack(wrong=wrong), check, words)


def test_a_good_attack_hears_nothing() -> None:
    assert complaints("attack", BadAttack()) == {}


@dataclass(frozen=True, kw_only=True)
class Climb(BadAttack):
    """So many steps along the gradient."""

    kind: ClassVar[AttackKind | None] = "white-box"
    seeded: ClassVar[bool] = False
    steps: int = 1

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        step = replace(threat, steps=self.steps, step_size=threat.epsilon / self.steps, start="none")
        return ascend(model, x, y, [CrossEntropy()], step, generator)[0].x

    def passes(self, threat: Threat) -> Passes:
        return Passes(self.steps, self.steps)


def of_kind(attack: BadAttack, kind: str | None) -> BadAttack:
    """The attack, declared to be of another kind."""
    cls: Any = type("Declared", (type(attack),), {"kind": kind, "__module__": __name__})
    return cast(BadAttack, dataclass(frozen=True, kw_only=True)(cls)(**attack.resolved()))


@pytest.mark.parametrize(
    ("attack", "problem"),
    [
        pytest.param(of_kind(Climb(steps=1), "white-box"), None, id="one step is white-box too"),
        pytest.param(of_kind(Climb(steps=3), "white-box"), None, id="white-box"),
        pytest.param(of_kind(Climb(steps=1), "single-step"), None, id="single-step"),
        pytest.param(of_kind(Climb(steps=3), "ensemble"), None, id="an ensemble may do what it likes"),
        pytest.param(of_kind(BadAttack(), "black-box"), None, id="black-box"),
        pytest.param(
            of_kind(Climb(steps=3), "single-step"),
            "its kind is 'single-step', but it takes 3 gradients an image: say kind = 'white-box' or 'ensemble'",
            id="three are not one",
        ),
        pytest.param(
            of_kind(Climb(steps=1), "black-box"),
            "its kind is 'black-box', but it takes 1 gradient an image: say kind = 'single-step'",
            id="a black box with a gradient",
        ),
        pytest.param(
            of_kind(BadAttack(), "white-box"),
            "its kind is 'white-box', but it takes 0 gradients an image: say kind = 'black-box' or 'random'",
            id="white-box without gradients",
        ),
        pytest.param(
            of_kind(BadAttack(), "clean"), "its kind is 'clean', but it changes the images", id="clean images, changed"
        ),
        pytest.param(
            of_kind(BadAttack(), None),
            "it declares no kind, so the checks of rigour leave it out; it takes 0 gradients an image: say"
            " kind = 'black-box' or 'random'",
            id="nothing",
        ),
    ],
)
def test_an_attack_is_of_the_kind_that_it_declares(attack: BadAttack, problem: str | None) -> None:
    assert complaints("attack", attack).get("it is of the kind that it declares") == problem


def test_an_unknown_kind_of_attack_is_refused() -> None:
    with pytest.raises(SettingError, match="kind = 'grey-box' is refused: it must be one of white-box, single-step"):
        of_kind(BadAttack(), "grey-box")
