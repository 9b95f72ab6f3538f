"""Crafting in which examples stop early or have radii of their own, against a loop over single examples."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.plugin.adversary import KL, CrossEntropy, Margin, Variant, ascend
from harness.plugin.reach import WHOLE, Reach
from harness.plugin.threat import Threat
from tests.tiny import draws, make_batch, make_step, make_threat, make_tiny_model

THREAT = make_threat(epsilon=0.3, steps=8, step_size=0.02)


def slow(model: nn.Module, x: Tensor, y: Tensor, threat: Threat, tau: int, radii: Tensor, seed: int) -> list[Tensor]:
    """Algorithm 1 of the FAT paper, one example after the other, in a ball of the example's own radius."""
    found = []
    noise = torch.rand(x.shape, generator=draws(seed), dtype=x.dtype)
    for i in range(len(x)):
        epsilon, left = threat.epsilon * float(radii[i]), tau
        low, high = (x[i : i + 1] - epsilon).clamp(min=0), (x[i : i + 1] + epsilon).clamp(max=1)
        z = torch.minimum(torch.maximum(x[i : i + 1] + epsilon * (2 * noise[i : i + 1] - 1), low), high)
        for _ in range(threat.steps):
            z = z.detach().requires_grad_()
            logits = model(z)
            if int(logits.argmax()) != int(y[i]):
                if left == 0:
                    break
                left -= 1
            (gradient,) = torch.autograd.grad(F.cross_entropy(logits, y[i : i + 1]), z)
            z = torch.minimum(torch.maximum(z + threat.step_size * gradient.sign(), low), high)
        found.append(z.detach()[0])
    return found


@pytest.mark.parametrize("tau", [0, 1, 3])
def test_each_example_stops_where_algorithm_1_stops_in_a_ball_of_its_own(tau: int) -> None:
    model, (x, y) = make_tiny_model(seed=4, dtype=torch.float64).eval(), make_batch(n=30, seed=4)
    x, radii = x.double(), torch.linspace(0.0, 1.5, 30).double()
    y = torch.where(torch.arange(30) % 5 == 0, y, model(x).argmax(1))  # most are right at first
    (variant,) = ascend(model, x, y, [CrossEntropy()], THREAT, draws(9), Reach(tau, radii))
    expected = slow(model, x, y, THREAT, tau, radii, 9)
    torch.testing.assert_close(variant.x.float(), torch.stack(expected).float(), rtol=0, atol=1e-5)
    (whole,) = ascend(model, x, y, [CrossEntropy()], THREAT, draws(9), Reach(radii=radii))
    assert torch.equal(variant.steps_to_flip, whole.steps_to_flip)
    moved = (variant.x != whole.x).flatten(1).any(1)
    assert 3 < int(moved.sum()) < 27


def test_one_pixel_by_hand() -> None:
    """Right while x > 0.5; from 0.55 in steps of 0.02 the iterates are 0.55, 0.53, 0.51, 0.49, 0.47, ..."""

    class Pixel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.flatten() - 0.5, 0.5 - x.flatten()], 1)

    x = torch.tensor([0.55, 0.9, 0.45]).view(3, 1, 1, 1)
    threat = make_threat(epsilon=0.3, steps=6, step_size=0.02, start="none")
    last = [0.43, 0.78, 0.33]
    for tau, expected in {0: [0.49, 0.78, 0.45], 1: [0.47, 0.78, 0.43], 5: [0.43, 0.78, 0.35], 6: last}.items():
        (variant,) = ascend(Pixel(), x, torch.zeros(3).long(), [CrossEntropy()], threat, draws(), Reach(tau))
        assert variant.x.flatten().tolist() == pytest.approx(expected, abs=1e-6)
        assert variant.steps_to_flip.tolist() == [3, 6, 0]


@pytest.mark.parametrize("reach", [Reach(stop_after=8), Reach(radii=torch.ones(12)), Reach(9, torch.ones(12))])
def test_a_reach_that_leaves_nothing_out_is_plain_to_the_last_bit(reach: Reach) -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    asked = [CrossEntropy(), Margin(), KL(x)]
    for given, plain in zip(
        ascend(model, x, y, asked, THREAT, draws(), reach), ascend(model, x, y, asked, THREAT, draws()), strict=True
    ):
        assert torch.equal(given.x, plain.x)
        assert torch.equal(given.steps_to_flip, plain.steps_to_flip)


def test_a_replay_gives_the_variants_of_the_reach_and_a_wrong_reach_is_refused() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y, threat=THREAT).replayable()
    radii = torch.linspace(0.0, 1.0, 12)
    first = step.perturb(CrossEntropy(), stop_after=0, radii=radii)
    again = step.rewound().perturb(CrossEntropy(), stop_after=0, radii=radii)
    assert isinstance(first, Variant)
    assert torch.equal(first.x, again.x)
    assert bool(((first.x - x).abs().flatten(1).amax(1) <= 0.3 * radii + 1e-6).all())
    assert torch.equal(first.x[0], x[0])
    with pytest.raises(ValueError, match="stop_after=-1 is refused"):
        step.perturb(CrossEntropy(), stop_after=-1)
    for wrong in (radii[:4], radii[:5], radii[:, None], radii[:0]):
        with pytest.raises(ValueError, match="radii"):
            step.perturb(CrossEntropy(), radii=wrong)
    assert (WHOLE.stop_after, WHOLE.radii) == (None, None)
