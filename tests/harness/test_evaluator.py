"""The evaluator decides by itself: it projects, re-scores, and refuses what is not an image."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from harness.errors import PluginError
from harness.evaluator import evaluate
from harness.plugin.attack import Attack, Passes
from harness.plugin.threat import Threat
from harness.registry.catalogue import discover
from tests.tiny import draws, make_batch, make_threat, make_tiny_model


@dataclass(frozen=True, kw_only=True)
class Given(Attack):
    """Returns what the test gives it."""

    mode: str = "far"

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        if self.mode == "nan":
            return torch.full_like(x, torch.nan)
        if self.mode == "shape":
            return x[:, :, :-1]
        if self.mode == "warn":
            warnings.warn("the gradient vanished", stacklevel=1)
            warnings.warn("the gradient vanished", stacklevel=1)
        return x + 100.0 if self.mode == "far" else x

    def passes(self, threat: Threat) -> Passes:
        return Passes()


class Recorder(nn.Module):
    """Says class 0 where the mean pixel is below a threshold, and remembers what it saw."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold, self.seen, self.modes = threshold, [torch.empty(0)], [True]

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        self.modes.append(self.training)
        score = x.flatten(1).mean(1) - self.threshold
        return torch.stack([-score, score], 1)


def test_what_leaves_the_ball_is_projected_before_it_is_scored() -> None:
    model = Recorder(0.55)
    x, y = torch.full((2, 1, 2, 2), 0.4), torch.tensor([0, 0])
    x[1] = 0.5
    verdicts = evaluate(model, Given(), x, y, make_threat(epsilon=0.1), draws())
    torch.testing.assert_close(model.seen[-1], x + 0.1)  # not x + 100
    assert verdicts.correct.tolist() == [True, False]  # 0.5 is below 0.55, 0.6 is not
    assert model.modes[-1] is False


def test_an_attack_that_does_nothing_leaves_natural_accuracy() -> None:
    model, (x, y) = make_tiny_model(), make_batch(n=50)
    verdicts = evaluate(model, Given(mode="same"), x, y, make_threat(), draws())
    assert torch.equal(verdicts.correct, model.eval()(x).argmax(1) == y)


def test_a_network_that_gives_nan_is_wrong() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits = torch.zeros(len(x), 3)
            logits[:, 0] = 1.0
            logits[0, 2] = torch.nan
            logits[1, 0] = torch.inf
            return logits

    x, y = torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64)
    verdicts = evaluate(Broken(), Given(mode="same"), x, y, make_threat(), draws())
    assert verdicts.correct.tolist() == [False, False, True]
    assert verdicts.margins[:2].tolist() == [-1.0, -1.0]


def test_the_margin_is_of_probabilities_by_hand() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])

    verdicts = evaluate(
        Fixed(), Given(mode="same"), torch.rand(3, 1, 2, 2), torch.tensor([0, 2, 1]), make_threat(), draws()
    )
    most, least = math.exp(2) / (math.exp(2) + 2), 1 / (math.exp(2) + 2)
    assert verdicts.margins.tolist() == pytest.approx([most - least, least - most, 0.0])


@pytest.mark.parametrize(("mode", "words"), [("nan", "returned NaN"), ("shape", "returned shape")])
def test_what_is_no_image_is_refused_naming_the_attack(mode: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Given, "name", "given")
    x, y = make_batch()
    with pytest.raises(PluginError, match=rf"attack 'given' \(.*test_evaluator\.py\) {words}"):
        evaluate(make_tiny_model(), Given(mode=mode), x, y, make_threat(), draws())


def test_warnings_of_an_attack_are_kept_once_each() -> None:
    x, y = make_batch()
    verdicts = evaluate(make_tiny_model(), Given(mode="warn"), x, y, make_threat(), draws())
    assert verdicts.warnings == ("the gradient vanished",)


def test_images_outside_zero_to_one_are_a_bug_of_ours() -> None:
    x, y = make_batch()
    with pytest.raises(AssertionError, match=r"\[0, 1\]"):
        evaluate(make_tiny_model(), Given(), x * 2, y, make_threat(), draws())


class Centred(nn.Module):
    """A network on centred images, which it centres in place or in a copy."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.inner = how, make_tiny_model()

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "copy":
            x = x - 0.5
        elif self.how == "in place":
            x -= 0.5
        else:
            x.data.sub_(0.5)
        logits: Tensor = self.inner(x)
        return logits


@pytest.mark.parametrize("name", ["natural", "noise", "fgsm", "pgd", "cw", "square", "apgd-ce"])
@pytest.mark.parametrize("how", ["in place", "in its data"])
def test_a_network_that_works_in_place_gets_the_verdicts_of_one_that_does_not(name: str, how: str) -> None:
    x, y = make_batch(n=4)
    attack = cast(Attack, discover("attacks").get(name)())
    verdicts = [evaluate(Centred(which), attack, x, y, make_threat(), draws()) for which in ("copy", how)]
    assert torch.equal(verdicts[0].correct, verdicts[1].correct)
    assert torch.equal(verdicts[0].margins, verdicts[1].margins)
    assert torch.equal(x, make_batch(n=4)[0])
