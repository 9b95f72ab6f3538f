"""Each check of a method against one that breaks just what it asks for: it must say so, in its author's words."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step
from tests.harness.conformance.complaints import assert_complains, complaints


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
            r"it raised KeyError: 'beta' \(.*test_method_checks.py, line \d+\)",
        ),
        ("exits", "the loss is a scalar tensor", r"it raised SystemExit: 0 \(.*test_method_checks.py, line \d+\)"),
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
    assert_complains("method", BadMethod(wrong=wrong), check, words)


def test_a_good_method_hears_nothing() -> None:
    assert complaints("method", BadMethod()) == {}
