"""The contract's check of the radius against attacks that go wrong at one radius alone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from harness.conformance import run_checks
from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat

CHECK = "it respects any radius from 0 to 1"


@dataclass(frozen=True, kw_only=True)
class Corner(Attack):
    """A random corner of the ball, with one thing wrong."""

    kind: ClassVar[AttackKind] = "random"
    budget: ClassVar[tuple[str, ...]] = ("epsilon",)
    wrong: str = ""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        epsilon = torch.tensor(threat.epsilon)
        if self.wrong == "divides":
            epsilon = epsilon * (epsilon / epsilon)
        if self.wrong == "a least step":
            epsilon = epsilon.clamp(min=2 / 255)
        if self.wrong == "leaves the image" and threat.epsilon > 0.5:
            return x + epsilon
        if self.wrong == "warns" and threat.epsilon < 0.05:
            warnings.warn("a small ball", stacklevel=1)
        sign = torch.rand(x.shape, generator=generator).round() * 2 - 1
        return (x + epsilon * sign).clamp(0, 1)

    def passes(self, threat: Threat) -> Passes:
        return Passes()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("divides", "with an epsilon of 0 it returns values that are not finite"),
        ("a least step", "it returns a point 0.007843 from the image, outside the Linf ball of 0: the evaluator"),
        ("leaves the image", "stay in [0, 1]"),
        ("warns", "with an epsilon of 0 it warns: a small ball"),
    ],
)
def test_what_goes_wrong_at_one_radius_alone_is_told(wrong: str, words: str) -> None:
    problems = {finding.check: finding.problem for finding in run_checks("attack", Corner(wrong=wrong))}
    told = problems.pop(CHECK)
    assert told is not None
    assert words in told
    assert set(problems.values()) == {None}  # no other check notices


def test_an_attack_that_respects_every_radius_hears_nothing() -> None:
    assert [finding for finding in run_checks("attack", Corner()) if finding.problem] == []
