"""Each check of a wrapper against one that breaks just what it asks for: it must say so, in its author's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.plugin.method import Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from tests.harness.conformance.complaints import assert_complains, complaints


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
    assert_complains("wrapper", BadWrapper(wrong=wrong), check, words)


def test_a_good_wrapper_hears_nothing() -> None:
    assert complaints("wrapper", BadWrapper()) == {}
