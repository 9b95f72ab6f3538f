"""PGD, CW, FGSM, and noise: restarts against a slow loop, one step by hand, and draws example by example."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attacks._ascent import Ascent
from harness.attacks.cw import CW
from harness.attacks.fgsm import FGSM
from harness.attacks.noise import Noise
from harness.attacks.pgd import PGD
from harness.errors import SettingError
from harness.evaluator import evaluate
from harness.plugin.adversary import CrossEntropy, Margin, Objective, ascend, logit_margin
from harness.plugin.threat import Threat
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

Keep = Literal["last", "worst"]
THREAT = make_threat(epsilon=0.03, steps=2, step_size=0.015)
ATTACKS = [pytest.param(PGD(), CrossEntropy(), id="pgd"), pytest.param(CW(kappa=2.0), Margin(2.0), id="cw")]


def problem(n: int = 40) -> tuple[nn.Module, Tensor, Tensor]:
    """A network, and images that it classifies rightly, some by little."""
    model = make_tiny_model(seed=3).eval().requires_grad_(False)
    x, _ = make_batch(n=n, seed=3)
    return model, x, model(x).argmax(1)


@pytest.mark.parametrize("keep", ["last", "worst"])
@pytest.mark.parametrize(("attack", "objective"), ATTACKS)
def test_one_restart_is_plain_ascent_to_the_last_bit(attack: Ascent, objective: Objective, keep: Keep) -> None:
    model, x, y = problem()
    (plain,) = ascend(model, x, y, [objective], THREAT, draws(7), keep=keep)
    assert torch.equal(replace(attack, keep=keep).perturb(model, x, y, THREAT, draws(7)), plain.x)
    several = replace(attack, keep=keep, restarts=4).perturb(model, x, y, THREAT, draws(7))
    broken = model(plain.x).argmax(1) != y
    assert torch.equal(several[broken], plain.x[broken])  # the first restart is the plain attack, too
    assert not torch.equal(several, plain.x)


@pytest.mark.parametrize("keep", ["last", "worst"])
@pytest.mark.parametrize(("attack", "objective"), ATTACKS)
def test_restarts_are_the_first_that_broke_an_example_else_the_highest(
    attack: Ascent, objective: Objective, keep: Keep
) -> None:
    model, x, y = problem()
    generator = draws(7)
    runs = [ascend(model, x, y, [objective], THREAT, generator, keep=keep)[0].x for _ in range(5)]
    expected, broken_by = [], []
    for i in range(len(x)):
        tried = [run[i : i + 1] for run in runs]
        broken = [r for r, z in enumerate(tried) if int(model(z).argmax()) != int(y[i])]
        values = [float(objective(model(z), y[i : i + 1])) for z in tried]
        expected.append(tried[broken[0] if broken else values.index(max(values))])
        broken_by.append(broken[0] if broken else None)
    found = replace(attack, keep=keep, restarts=5).perturb(model, x, y, THREAT, draws(7))
    assert torch.equal(found, torch.cat(expected))
    assert {None, 0} < set(broken_by)  # some survive, some fall at once, some to a later restart


def test_more_restarts_never_help_the_defender() -> None:
    model, x, y = problem()
    rights = [evaluate(model, PGD(restarts=restarts), x, y, THREAT, draws()).correct for restarts in (1, 2, 5, 10)]
    for fewer, more in itertools.pairwise(rights):
        assert bool((more <= fewer).all())
    assert int(rights[-1].sum()) < int(rights[0].sum())


def test_restarts_that_would_all_be_the_same_are_refused() -> None:
    model, x, y = problem(n=2)
    still = replace(THREAT, start="none")
    words = r"^restarts=3 is refused with start=none: every restart would be the same; choose start=uniform"
    with pytest.raises(SettingError, match=words):
        PGD(restarts=3).passes(still)
    with pytest.raises(SettingError, match=words):
        PGD(restarts=3).perturb(model, x, y, still, draws())
    assert PGD().passes(still).forward == 2


@pytest.mark.parametrize("keep", ["last", "worst"])
@pytest.mark.parametrize("restarts", [1, 2, 5])
def test_passes_are_those_that_the_network_sees(keep: Keep, restarts: int) -> None:
    model, x, y = problem(n=4)
    seen: list[int] = []
    model.register_forward_pre_hook(lambda _model, inputs: seen.append(len(inputs[0])))
    attack = PGD(keep=keep, restarts=restarts)
    attack.perturb(model, x, y, THREAT, draws())
    assert sum(seen) == 4 * attack.passes(THREAT).forward
    assert attack.passes(THREAT).backward == THREAT.steps * restarts


def test_fgsm_by_hand() -> None:
    """One step along the sign of the gradient of the cross-entropy at the image, clipped to [0, 1]."""
    model, x, y = problem()
    threat = replace(THREAT, epsilon=0.3)
    z = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)
    expected = (x + 0.3 * gradient.sign()).clamp(0, 1)
    torch.testing.assert_close(FGSM().perturb(model, x, y, threat, draws()), expected, rtol=0, atol=1e-6)
    assert bool(((expected == 0) | (expected == 1)).any())


def test_fgsm_moves_to_the_edge_of_the_ball_whatever_the_threat_says_of_steps() -> None:
    model, x, y = problem()
    found = FGSM().perturb(model, x, y, make_threat(epsilon=0.1, steps=20, step_size=0.001), draws())
    inner = (x > 0.1) & (x < 0.9)
    torch.testing.assert_close((found - x).abs()[inner].max(), torch.tensor(0.1))
    assert float(((found - x).abs()[inner] - 0.1).abs().median()) < 1e-6


def test_noise_is_the_worst_of_its_draws_example_by_example() -> None:
    model, x, y = problem(n=100)
    epsilon, generator = 0.1, draws(5)
    candidates = [(x + epsilon * (2 * torch.rand(x.shape, generator=generator) - 1)).clamp(0, 1) for _ in range(10)]
    verdicts = evaluate(model, Noise(), x, y, make_threat(epsilon=epsilon), draws(5))
    rights = [[int(model(c[i : i + 1]).argmax()) == int(y[i]) for c in candidates] for i in range(len(x))]
    assert verdicts.correct.tolist() == [all(right) for right in rights]
    assert any(any(right) and not all(right) for right in rights)  # broken by some draws alone
    found = Noise().perturb(model, x, y, make_threat(epsilon=epsilon), draws(5))
    unbroken = verdicts.correct
    highest = torch.stack([F.cross_entropy(model(c), y, reduction="none") for c in candidates]).amax(0)
    torch.testing.assert_close(F.cross_entropy(model(found), y, reduction="none")[unbroken], highest[unbroken])
    assert int(unbroken.sum()) > 10


def test_noise_fills_the_ball_evenly() -> None:
    """A kept draw is uniform where the network does not look: mean 0, variance epsilon^2 / 3."""

    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([1.0, 0.0]).repeat(len(x), 1)

    x, epsilon = torch.full((200, 3, 8, 8), 0.5), 0.25
    noise = Noise().perturb(Blind(), x, torch.zeros(200, dtype=torch.int64), make_threat(epsilon=epsilon), draws()) - x
    count = noise.numel()
    assert abs(float(noise.mean())) < 4 * epsilon / (3 * count) ** 0.5  # four standard errors
    assert float(noise.var()) == pytest.approx(epsilon**2 / 3, rel=0.03)
    assert 0.249 < float(noise.abs().max()) <= epsilon + 1e-6


@pytest.mark.parametrize(
    "attack", [FGSM(), Noise(), PGD(), PGD(restarts=3), PGD(keep="worst", restarts=2), CW()], ids=str
)
def test_a_ball_of_radius_zero_holds_the_image_alone(attack: Ascent) -> None:
    model, x, y = problem(n=6)
    threat: Threat = make_threat(epsilon=0.0, step_size=0.0)
    assert torch.equal(attack.perturb(model, x, y, threat, draws()), x)


def test_the_worst_iterates_of_restarts_are_never_better_for_the_defender_than_the_last_ones() -> None:
    model, x, y = problem()
    last = CW(restarts=3).perturb(model, x, y, THREAT, draws(2))
    worst = CW(keep="worst", restarts=3).perturb(model, x, y, THREAT, draws(2))
    wrong_last, wrong_worst = (model(z).argmax(1) != y for z in (last, worst))
    assert bool((wrong_worst >= wrong_last).all())
    unbroken = ~wrong_worst
    margins = [logit_margin(model(z), y)[unbroken] for z in (worst, last)]
    assert bool((margins[0] >= margins[1] - 1e-6).all())
