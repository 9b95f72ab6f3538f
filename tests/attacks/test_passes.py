"""The passes that an attack declares are those that it takes, counted by a model of the test's own."""

from __future__ import annotations

import warnings
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.attacks._autoattack import PARTS
from harness.plugin.attack import Attack, Passes
from harness.plugin.threat import Threat
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from tests.attacks.counting import Counting
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

ATTACKS = discover("attacks")


def attack(name: str, **settings: Any) -> Attack:
    return cast(Attack, ATTACKS.get(name).from_mapping(settings))


def attacked(name: str, threat: Threat, **settings: Any) -> tuple[Passes, Passes]:
    """The passes for an image that an attack took, and those that it declares."""
    model, (x, y) = Counting(make_tiny_model().eval()), make_batch(n=4)
    made = attack(name, **settings)
    made.perturb(model, x, y, threat, draws())
    return Passes(model.forwards / 4, model.backwards / 4), made.passes(threat)


STOP_EARLY = (*PARTS, "autoattack", "minimum-margin")
OURS = sorted(name for name in ATTACKS.found if name not in STOP_EARLY)


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
    threat = load_protocol("paper").evaluation_threat
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
