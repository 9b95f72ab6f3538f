"""The geometric distance: how many iterates come before the first one that the network classifies wrongly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.plugin.adversary import CrossEntropy, ascend
from tests.harness.fast.networks import OneMemory
from tests.tiny import draws, make_batch, make_threat, make_tiny_model


class Scripted(nn.Module):
    """A network whose label's logit is 1 or -1 as is written down, pass by pass; the other logit is 0."""

    def __init__(self, *signs: float) -> None:
        super().__init__()
        self.signs = iter(signs)

    def forward(self, x: Tensor) -> Tensor:
        nothing = 0 * x.flatten(1).sum(1)
        return torch.stack((nothing + next(self.signs), nothing), 1)


def test_steps_to_flip_are_those_to_the_first_flip_whatever_comes_later() -> None:
    x, y = make_batch(n=2)[0], torch.zeros(2, dtype=torch.int64)
    for signs, expected in (((1, 1, -1, 1, 1, -1), 2), ((-1, 1, 1, 1, 1, 1), 0), ((1,) * 6, 6)):
        (variant,) = ascend(Scripted(*signs), x, y, [CrossEntropy()], make_threat(steps=6), draws())
        assert variant.steps_to_flip.tolist() == [expected] * 2


def test_steps_to_flip_are_those_of_each_iterate_if_logits_share_their_memory() -> None:
    model, (x, y) = make_tiny_model(seed=4), make_batch(n=30, seed=4)
    y = model.eval()(x).argmax(1)
    threat = make_threat(epsilon=0.3, steps=8, step_size=0.02)
    (own,), (shared,) = (ascend(net, x, y, [CrossEntropy()], threat, draws(9)) for net in (model, OneMemory(model)))
    assert torch.equal(shared.steps_to_flip, own.steps_to_flip)
    assert len(set(own.steps_to_flip.tolist())) > 3
