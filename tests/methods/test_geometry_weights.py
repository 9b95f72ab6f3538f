"""GAIRAT's weights: by hand, at the ends of float32, and as a user sees them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.errors import SettingError
from harness.methods._geometry_weights import effective_sample_share, log_geometry_weights, normalised
from harness.methods.gairat import GAIRAT
from harness.plugin.threat import Threat
from tests.methods.slow import geometry
from tests.tiny import make_batch, make_step, make_threat, make_tiny_model


def test_by_hand() -> None:
    # lambda 0, K 10: (1 + tanh 5) / 2, 1/2, (1 - tanh 5) / 2 sum to 3/2
    weights = normalised(log_geometry_weights(torch.tensor([0, 5, 10]), 10, 0.0, "tanh"))
    torch.testing.assert_close(weights, torch.tensor([1.9999092, 1.0, 9.0796e-5]), rtol=1e-4, atol=0)


def test_a_survivor_of_all_ten_steps_weighs_six_millionths() -> None:
    raw = log_geometry_weights(torch.tensor([10]), 10, -1.0, "tanh").exp()
    assert float(raw) == pytest.approx(6.144e-6, rel=1e-3)


@given(
    kappa=st.lists(st.integers(0, 10), min_size=1, max_size=20),
    shift=st.floats(-10, 10),
    assignment=st.sampled_from(["tanh", "sigmoid", "discrete"]),
)
def test_weights_equal_the_papers_formula_and_have_mean_one(kappa: list[int], shift: float, assignment: str) -> None:
    log_weights = log_geometry_weights(torch.tensor(kappa), 10, shift, assignment)  # type: ignore[arg-type]
    expected = [geometry(k, 10, shift, assignment) for k in kappa]
    if min(expected) > 1e-6:  # below, 1 + tanh(z) itself has lost its digits
        torch.testing.assert_close(log_weights.exp(), torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=0)
    assert float(normalised(log_weights).double().mean()) == pytest.approx(1.0, rel=1e-6)


def test_robust_instances_keep_their_digits_where_one_plus_tanh_cancels() -> None:
    # lambda -4: z = -9; the exact value of (1 + tanh z) / 2 is 1 / (1 + e^18)
    exact = 1 / (1 + math.exp(18))
    naive = (1 + torch.tanh(torch.tensor(-9.0))) / 2
    ours = log_geometry_weights(torch.tensor([10]), 10, -4.0, "tanh").exp()
    assert float(ours) == pytest.approx(exact, rel=1e-12)
    assert abs(float(naive) / exact - 1) > 0.01


def test_even_absurd_settings_give_numbers() -> None:
    weights = normalised(log_geometry_weights(torch.tensor([0, 10, 10]), 10, -1e4, "tanh"))
    assert weights.tolist() == pytest.approx([3.0, 3 * math.exp(-20), 3 * math.exp(-20)], rel=1e-6)
    assert normalised(log_geometry_weights(torch.tensor([0, 3, 10]), 10, math.inf, "tanh")).tolist() == [1.0] * 3


def test_effective_sample_share_by_hand() -> None:
    assert float(effective_sample_share(torch.ones(7))) == 1.0
    assert float(effective_sample_share(torch.tensor([4.0, 0.0, 0.0, 0.0]))) == 0.25
    assert float(effective_sample_share(torch.tensor([3.0, 1.0]))) == pytest.approx(16 / 20)


def test_burn_in_is_the_first_thirty_percent() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    distances = torch.arange(12) % 6
    early, late = (GAIRAT().weights(make_step(model, x, y, progress=p), distances) for p in (0.2999, 0.3))
    assert early.tolist() == [1.0] * 12
    assert float(late.max()) > 1.5


def test_what_a_user_sees() -> None:
    logged: dict[str, Tensor] = {}
    model, (x, y) = make_tiny_model(), make_batch(n=4)
    step = make_step(model, x, y, threat=make_threat(steps=10), log=logged.__setitem__)
    GAIRAT().weights(step, torch.tensor([0, 10, 10, 10]))
    assert float(logged["steps_to_flip"]) == 7.5
    assert float(logged["weight_min"]) == pytest.approx(6.144e-6, rel=1e-3)
    assert float(logged["effective_sample_share"]) == pytest.approx(0.25, rel=1e-3)
    assert float(logged["weight_mean"]) == pytest.approx((geometry(0, 10, -1.0, "tanh") + 3 * 6.144e-6) / 4, rel=1e-3)


def test_a_shift_that_weighs_nothing_is_refused() -> None:
    for shift in (math.nan, -math.inf):
        with pytest.raises(SettingError, match="must be a number or inf"):
            GAIRAT(shift=shift)


def test_cw_counts_the_distance_along_its_own_path() -> None:
    """By hand, one example after the other: ascend the margin, and count the iterates before the first wrong one."""
    model, (x, y) = make_tiny_model(6).eval(), make_batch(n=40, seed=6)
    y, threat = model(x).argmax(1), make_threat(epsilon=0.06, steps=5, step_size=0.015, start="none")
    expected, along_pgd = (slow_distances(model, x, y, threat, attack) for attack in ("cw", "pgd"))
    assert expected != along_pgd
    assert len(set(expected)) > 2
    given: list[Tensor] = []
    GAIRAT(attack="cw").loss(make_step(model, x, y, threat=threat, log=lambda name, value: given.append(value)))
    assert float(given[0]) == pytest.approx(sum(expected) / len(expected), rel=1e-12)


def slow_distances(model: nn.Module, x: Tensor, y: Tensor, threat: Threat, attack: str) -> list[int]:
    distances = []
    for image, label in zip(x, y.tolist(), strict=True):
        iterate, steps = image.clone(), 0
        while steps < threat.steps:
            iterate.requires_grad_()
            z = model(iterate[None])[0]
            if int(z.argmax()) != label:
                break
            others = torch.cat([z[:label], z[label + 1 :]])
            value = others.max() - z[label] if attack == "cw" else torch.logsumexp(z, 0) - z[label]
            (gradient,) = torch.autograd.grad(value, iterate)
            moved = iterate.detach() + threat.step_size * gradient.sign()
            iterate = torch.minimum(torch.maximum(moved, image - threat.epsilon), image + threat.epsilon).clamp(0, 1)
            steps += 1
        distances.append(steps)
    return distances


def test_settings_that_came_later_leave_the_identity_of_a_default_gairat_alone() -> None:
    assert GAIRAT().resolved() == {"shift": -1.0, "assignment": "tanh", "burn_in": 0.3}
    assert GAIRAT(attack="cw").resolved() == {**GAIRAT().resolved(), "attack": "cw"}
    assert GAIRAT(attack="cw", kappa=5.0).departures() == {"attack": "cw", "kappa": 5.0}


def test_a_kappa_that_nothing_reads_is_refused() -> None:
    with pytest.raises(SettingError, match=r"kappa=5\.0 has no effect with attack=pgd"):
        GAIRAT(kappa=5.0)
    with pytest.raises(SettingError, match="it must be a number or inf"):
        GAIRAT(attack="cw", shift=float("nan"))
