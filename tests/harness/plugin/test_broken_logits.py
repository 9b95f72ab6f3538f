"""Logits that are not finite: what chooses among images takes them for wrong, as the evaluator does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.attacks.minimum_margin import MinimumMargin
from harness.attacks.pgd import PGD
from harness.evaluator import evaluate
from harness.plugin.adversary import CrossEntropy, Objective, ascend, broken, worst_of
from harness.plugin.attack import Attack
from harness.plugin.reach import Reach
from tests.tiny import draws, make_threat

INF, NAN = torch.inf, torch.nan
HOLES = {
    "the label's is inf": [INF, 4.0, 0.0],
    "all are NaN": [NAN, NAN, NAN],
    "another class's is -inf": [5.0, -INF, 0.0],
    "another class's is NaN": [5.0, NAN, 0.0],
}


class Holed(nn.Module):
    """Right for class 0 whatever the pixels are, a little less so with a higher mean; above 0.53 it answers a hole."""

    def __init__(self, hole: list[float]) -> None:
        super().__init__()
        self.hole = torch.tensor(hole)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.flatten(1).mean(1)
        logits = torch.stack([5 - mean, 4 + 0 * mean, 0 * mean], 1)
        return torch.where(mean[:, None] > 0.53, self.hole, logits)


def test_what_counts_as_wrong_by_hand() -> None:
    rows = [[2.0, 1.0], [1.0, 2.0], [INF, 0.0], [0.0, -INF], [NAN, NAN], [0.0, NAN], [1.0, 1.0], [3e38, -3e38]]
    y = torch.zeros(len(rows), dtype=torch.int64)
    assert broken(torch.tensor(rows), y).tolist() == [False, True, True, True, True, True, False, False]


@pytest.mark.parametrize("attack", [PGD(), PGD(keep="worst"), MinimumMargin()], ids=["last", "worst", "margin"])
@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_an_attack_that_comes_upon_such_logits_has_broken_the_image(hole: list[float], attack: Attack) -> None:
    """The mean rises, since the label's logit falls with it, so every search comes into the hole."""
    threat = make_threat(epsilon=0.1, steps=20, step_size=0.005, start="none")
    x, y = torch.full((8, 1, 4, 4), 0.5), torch.zeros(8, dtype=torch.int64)
    verdicts = evaluate(Holed(hole).eval(), attack, x, y, threat, draws())
    assert verdicts.correct.tolist() == [False] * 8
    assert verdicts.predicted.tolist() == [-1] * 8


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_the_step_that_comes_upon_them_is_the_geometric_distance(hole: list[float]) -> None:
    """From 0.5 by 0.0125: the iterates are 0.5, 0.5125, 0.525, and the third step's is 0.5375."""
    model, x, y = Holed(hole), torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, dtype=torch.int64)
    threat = make_threat(epsilon=0.1, steps=6, step_size=0.0125, start="none")
    (variant,) = ascend(model, x, y, [CrossEntropy()], threat, draws(), Reach(stop_after=0))
    assert variant.steps_to_flip.tolist() == [3]
    assert float(variant.x) == pytest.approx(0.5375)


class Gap(Objective):
    """The first logit; NaN where it is above 0.8."""

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return torch.where(logits[:, 0] > 0.8, torch.nan, logits[:, 0])


class Pixel(nn.Module):
    """Of one pixel; always right for class 0."""

    def forward(self, x: Tensor) -> Tensor:
        pixel = x.flatten(1)[:, 0]
        return torch.stack([pixel, pixel - 1], 1)


@pytest.mark.parametrize("attempts", [(0.9, 0.3, 0.6), (0.3, 0.9, 0.6), (0.3, 0.6, 0.9)])
def test_an_objective_that_is_no_number_never_displaces_one(attempts: tuple[float, ...]) -> None:
    given = iter(torch.tensor(attempts).view(3, 1, 1, 1, 1))
    worst = worst_of(Pixel(), torch.tensor([0]), Gap(), 3, lambda: next(given))
    assert float(worst) == pytest.approx(0.6)
