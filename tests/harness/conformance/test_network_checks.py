"""Each check of a network against one that breaks just what it asks for: it must say so, in its author's words."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from harness.plugin.network import Network, Shape
from tests.harness.conformance.complaints import assert_complains, complaints

BUILT = itertools.count()  # another number for each network


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
            nn.init.normal_(inner[1].weight, generator=torch.Generator().manual_seed(next(BUILT)))
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
    assert_complains("network", BadNetwork(wrong=wrong), check, words)


def test_a_good_network_hears_nothing() -> None:
    assert complaints("network", BadNetwork()) == {}
