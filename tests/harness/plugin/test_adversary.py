"""The inner maximisation against linear models with known optima, hand-computed objectives, and a slow loop."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.plugin.adversary import (
    KL,
    CrossEntropy,
    Margin,
    Objective,
    ascend,
    kl_divergence,
    logit_margin,
    worst_of,
)
from tests.tiny import draws, make_batch, make_threat, make_tiny_model


def project(x_adv: Tensor, x: Tensor, epsilon: float) -> Tensor:
    """The nearest point in the L-infinity ball and in [0, 1], pixel by pixel."""
    return torch.minimum(torch.maximum(x_adv, x - epsilon), x + epsilon).clamp(0, 1)


STARTS = ("uniform", "gaussian", "none")


class Linear(nn.Module):
    """Two classes, Z_0 - Z_1 = w . x + b: the attack's optimum is known in closed form."""

    def __init__(self, w: Tensor, b: float) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(w), b

    def forward(self, x: Tensor) -> Tensor:
        score = x.flatten(1) @ self.w + self.b
        return torch.stack([score / 2, -score / 2], 1)


class Counting(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.passes = model, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        logits: Tensor = self.model(x)
        return logits


def linear_problem(seed: int, n: int = 40) -> tuple[Linear, Tensor, Tensor]:
    generator = draws(seed)
    w = torch.randn(12, generator=generator)
    x = torch.rand(n, 3, 2, 2, generator=generator)
    return Linear(w, -0.5 * float(w.sum())), x, torch.randint(2, (n,), generator=generator)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("objective", [CrossEntropy(), Margin(50.0), Margin(0.01)], ids=["ce", "margin", "low cap"])
def test_variant_stays_in_the_ball_and_in_the_image(start: str, objective: Objective) -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    threat = make_threat(epsilon=0.1, steps=7, step_size=0.05, start=start)
    (variant,) = ascend(model, x, y, [objective], threat, draws())
    assert float((variant.x - x).abs().max()) <= 0.1 + 1e-6
    assert float(variant.x.min()) >= 0.0
    assert float(variant.x.max()) <= 1.0
    assert not variant.x.requires_grad


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("objective", [CrossEntropy(), Margin()], ids=["ce", "margin"])
def test_a_linear_model_is_attacked_to_its_known_optimum(start: str, objective: Objective) -> None:
    model, x, y = linear_problem(seed=1)
    epsilon = 0.08
    threat = make_threat(epsilon=epsilon, steps=10, step_size=epsilon / 4, start=start)  # travels 2.5 radii
    (variant,) = ascend(model, x, y, [objective], threat, draws())
    toward_error = torch.where(y == 0, -1.0, 1.0)[:, None] * model.w.sign()
    optimum = (x.flatten(1) + epsilon * toward_error).clamp(0, 1).view_as(x)
    torch.testing.assert_close(variant.x, optimum.detach(), rtol=0, atol=1e-6)


@given(seed=st.integers(0, 1000), steps=st.integers(1, 6))
def test_the_objective_never_ends_below_its_start_on_a_linear_model(seed: int, steps: int) -> None:
    model, x, y = linear_problem(seed, n=8)
    threat = make_threat(epsilon=0.1, steps=steps, step_size=0.02)
    start = project(x + 0.1 * (2 * torch.rand(x.shape, generator=draws(seed)) - 1), x, 0.1)
    (variant,) = ascend(model, x, y, [Margin()], threat, draws(seed))
    before, after = (logit_margin(model(z), y) for z in (start, variant.x))
    assert bool((after >= before - 1e-6).all())


def test_pgd_on_a_linear_model_reaches_the_closed_form_robust_accuracy() -> None:
    model, _, _ = linear_problem(seed=2)
    epsilon = 0.05
    x = 0.1 + 0.8 * torch.rand(500, 3, 2, 2, generator=draws(3))  # so far inside that [0, 1] never clips
    margin = (model(x)[:, 0] - model(x)[:, 1]).detach()
    y = (margin < 0).long()  # all rightly classified
    threat = make_threat(epsilon=epsilon, steps=20, step_size=epsilon / 4)
    (variant,) = ascend(model, x, y, [CrossEntropy()], threat, draws())
    robust = model(variant.x).argmax(1) == y
    closed_form = margin.abs() > epsilon * model.w.detach().abs().sum()
    assert 0.05 < float(closed_form.float().mean()) < 0.95
    assert torch.equal(robust, closed_form)


def test_margin_by_hand() -> None:
    logits = torch.tensor([[2.0, 5.0, 1.0], [7.0, 1.0, 3.0], [0.0, 0.0, 90.0]])
    y = torch.tensor([0, 0, 1])
    assert logit_margin(logits, y).tolist() == [3.0, -4.0, 90.0]
    assert Margin(50.0)(logits, y).tolist() == [3.0, -4.0, 50.0]


def test_the_cap_stops_the_gradient_of_a_confident_error() -> None:
    logits = torch.tensor([[0.0, 60.0], [0.0, 40.0]], requires_grad=True)
    Margin(50.0)(logits, torch.tensor([0, 0])).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0, 0.0], [-1.0, 1.0]]


def test_kl_by_hand() -> None:
    # p = (3/4, 1/4), q = (1/2, 1/2): 3/4 log(3/2) + 1/4 log(1/2)
    p, q = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.0, 0.0]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    torch.testing.assert_close(kl_divergence(p, q), torch.tensor([expected]))
    assert float(kl_divergence(p, p)) == 0.0


def test_kl_ascends_the_divergence_from_the_clean_prediction_in_evaluation_mode() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    model.train()
    (variant,) = ascend(model, x, y, [KL(x)], make_threat(steps=10), draws())
    model.eval()
    clean = F.softmax(model(x), 1)
    start = project(x + 0.1 * (2 * torch.rand(x.shape, generator=draws()) - 1), x, 0.1)
    after, before = (F.kl_div(F.log_softmax(model(z), 1), clean, reduction="none").sum(1) for z in (variant.x, start))
    assert bool((after > before).all())


def test_steps_to_flip_of_one_pixel_by_hand() -> None:
    # right while x > 0.5; iterates from 0.55 by 0.02: 0.55, 0.53, 0.51, 0.49 is the third step's
    model = Linear(torch.ones(1), -0.5)
    x = torch.tensor([0.55, 0.9, 0.45]).view(3, 1, 1, 1)
    threat = make_threat(epsilon=0.3, steps=10, step_size=0.02, start="none")
    (variant,) = ascend(model, x, torch.tensor([0, 0, 0]), [CrossEntropy()], threat, draws())
    assert variant.steps_to_flip.tolist() == [3, 10, 0]


def test_steps_to_flip_equals_a_slow_loop_that_looks_at_every_iterate() -> None:
    model, (x, y) = make_tiny_model(seed=4), make_batch(n=30, seed=4)
    y = model.eval()(x).argmax(1)  # all right at first
    threat = make_threat(epsilon=0.3, steps=8, step_size=0.02)
    (variant,) = ascend(model, x, y, [CrossEntropy()], threat, draws(9))
    expected = []
    for i in range(len(x)):
        noise = torch.rand(x.shape, generator=draws(9))[i : i + 1]
        z = project(x[i : i + 1] + 0.3 * (2 * noise - 1), x[i : i + 1], 0.3)
        flipped = threat.steps
        for t in range(threat.steps):
            z = z.detach().requires_grad_()
            logits = model(z)
            if int(logits.argmax()) != int(y[i]):
                flipped = t
                break
            F.cross_entropy(logits, y[i : i + 1]).backward()  # type: ignore[no-untyped-call]
            assert z.grad is not None
            z = project(z.detach() + 0.02 * z.grad.sign(), x[i : i + 1], 0.3)
        expected.append(flipped)
    assert variant.steps_to_flip.tolist() == expected
    assert len(set(expected)) > 3


class Averaged(Objective):
    """Not one value for each example, as the contract wants it."""

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits, y)


def test_an_objective_that_averages_is_refused() -> None:
    x, y = make_batch()
    with pytest.raises(RuntimeError, match="zero-dimensional"):
        ascend(make_tiny_model(), x, y, [Averaged()], make_threat(), draws())


def test_crafting_touches_no_gradient_no_statistic_no_mode_and_no_global_generator() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    model.train()
    model[1].eval()  # a user's frozen batch-norm stays frozen
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    ascend(model, x, y, [CrossEntropy(), Margin()], make_threat(), draws())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model] == [True, False, True, True, True]
    assert torch.equal(torch.get_rng_state(), state)


def test_steps_to_flip_cost_no_extra_pass_and_two_objectives_share_theirs() -> None:
    model, (x, y) = Counting(make_tiny_model()), make_batch()
    ascend(model, x, y, [CrossEntropy()], make_threat(steps=5), draws())
    assert model.passes == 5
    ascend(model, x, y, [CrossEntropy(), Margin()], make_threat(steps=5), draws())
    assert model.passes == 10
    ascend(model, x, y, [KL(x)], make_threat(steps=5), draws())
    assert model.passes == 16  # the clean prediction, once


def test_objectives_crafted_together_are_those_crafted_alone() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    threat = make_threat(start="none", steps=10)
    objectives: list[Objective] = [CrossEntropy(), Margin()]
    together = ascend(model, x, y, objectives, threat, draws())
    for objective, variant in zip(objectives, together, strict=True):
        (alone,) = ascend(model, x, y, [objective], threat, draws())
        torch.testing.assert_close(variant.x, alone.x, rtol=0, atol=1e-6)
        assert torch.equal(variant.steps_to_flip, alone.steps_to_flip)


def test_the_worst_iterate_is_never_better_for_the_defender_than_the_last() -> None:
    model, (x, y) = make_tiny_model(seed=1), make_batch(n=64, seed=1)
    model.eval()
    threat = make_threat(epsilon=0.2, steps=6, step_size=0.2)  # so long a step that it overshoots
    (last,) = ascend(model, x, y, [CrossEntropy()], threat, draws(), keep="last")
    (worst,) = ascend(model, x, y, [CrossEntropy()], threat, draws(), keep="worst")
    right_last, right_worst = (model(v.x).argmax(1) == y for v in (last, worst))
    assert bool((right_worst <= right_last).all())
    loss_last, loss_worst = (F.cross_entropy(model(v.x), y, reduction="none") for v in (last, worst))
    same = right_last == right_worst
    assert bool((loss_worst[same] >= loss_last[same] - 1e-6).all())
    assert bool((loss_worst > loss_last + 1e-3).any())


def test_of_several_attempts_the_first_that_breaks_counts_else_the_highest_objective() -> None:
    """One pixel; right while x > 0.5, and the cross-entropy falls with x. By hand, attempt by attempt."""
    model = Linear(torch.ones(1), -0.5)
    attempts = torch.tensor(
        [
            [0.9, 0.6, 0.7, 0.4, 0.6],
            [0.8, 0.4, 0.6, 0.3, 0.6],
            [0.7, 0.1, 0.9, 0.2, 0.6],
        ]
    ).view(3, 5, 1, 1, 1)
    given, y = iter(attempts), torch.zeros(5, dtype=torch.int64)
    worst = worst_of(model, y, CrossEntropy(), 3, lambda: next(given))
    torch.testing.assert_close(worst.flatten(), torch.tensor([0.7, 0.4, 0.6, 0.4, 0.6]), rtol=0, atol=0)


def test_an_attempt_that_the_network_answers_with_nan_has_broken_the_example() -> None:
    class Fragile(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            score = torch.where(x.flatten(1).amax(1) > 0.95, torch.nan, x.flatten(1)[:, 0])
            return torch.stack([score, -score], 1)

    given = iter(torch.tensor([0.3, 0.99, 0.2]).view(3, 1, 1, 1, 1))
    worst = worst_of(Fragile(), torch.tensor([0]), CrossEntropy(), 3, lambda: next(given))
    assert float(worst) == pytest.approx(0.99)


def test_attempts_are_judged_in_evaluation_mode_without_gradient_for_one_pass_each() -> None:
    model, (x, y) = Counting(make_tiny_model()).train(), make_batch()
    statistics = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert not worst_of(model, y, Margin(), 4, lambda: x).requires_grad
    assert model.passes == 4
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, statistics[name]) for name, tensor in model.state_dict().items())


def test_epsilon_zero_changes_nothing() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    for start in STARTS:
        (variant,) = ascend(model, x, y, [CrossEntropy()], make_threat(epsilon=0.0, start=start), draws())
        assert torch.equal(variant.x, x)
