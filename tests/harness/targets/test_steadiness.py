"""A model that changes as it is used is refused; a model that draws is left to the checks of rigour."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.targets.conformity import Steadiness
from harness.targets.target import TargetError
from tests.tiny import draws

Change = Callable[[Tensor, int, Tensor], Tensor]
"""Of logits, how many passes there were before, and noise."""
CHANGES: dict[str, Change] = {
    "a constant from its 9th pass on": lambda z, before, _: z if before < 8 else 0 * z + torch.arange(5.0),
    "other weights from its 9th pass on": lambda z, before, _: z if before < 8 else 1.1 * z,
    "one image's answer": lambda z, before, _: z if before < 8 else z + (torch.arange(len(z))[:, None] == 3) * z[3],
}
STAYS: dict[str, Change] = {
    "nothing": lambda z, _before, _: z,
    "rounding": lambda z, before, _: z * (1 + 2e-7 * (before % 2)),
    "noise in every pass": lambda z, _before, noise: z + noise,
}


class Net(nn.Module):
    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change, self.before, self.generator = change, 0, draws(5)
        self.weight = torch.randn(5, 16, generator=draws(2))

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.randn(len(x), 5, generator=self.generator)
        logits = self.change((x.flatten(1) - 0.5) @ self.weight.T, self.before, noise)
        self.before += 1
        return logits


def asked(change: Change) -> None:
    """Checked after four passes, and after ten."""
    model = Net(change).eval()
    images = torch.rand(12, 1, 4, 4, generator=draws(1))
    steadiness = Steadiness(model, "mine.py:make", images)
    for _ in range(2):
        for _ in range(3):
            model(images)
        steadiness.check()


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_model_that_changes_is_refused(change: Change) -> None:
    with pytest.raises(TargetError, match=r"^mine\.py:make answers otherwise than before it was attacked: .*frozen"):
        asked(change)


@pytest.mark.parametrize("change", STAYS.values(), ids=list(STAYS))
def test_a_model_that_stays_or_draws_is_not(change: Change) -> None:
    asked(change)


def test_a_model_whose_tensors_and_answers_change_in_every_pass_is_refused() -> None:
    class Observing(Net):
        """Counts its passes in a buffer, and its answers follow it, as with the observers of a quantisation."""

        def __init__(self) -> None:
            super().__init__(lambda z, before, _: z * (1 + 0.01 * before))
            self.passes = nn.Buffer(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.passes.add_(1)
            return super().forward(x)

    steadiness = Steadiness(Observing().eval(), "mine.py:make", torch.rand(12, 1, 4, 4, generator=draws(1)))
    with pytest.raises(TargetError, match="it changes as it is used"):
        steadiness.check()
