"""Balls: what every norm promises, the L-infinity and L2 balls against slow formulas, and a threat's norm."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.errors import HarnessError
from harness.plugin.ball import GAUSSIAN_START_SCALE, L2, Ball, LInf, Start, radius_text
from harness.plugin.threat import Threat
from tests.tiny import draws, make_threat

SHAPE = (3, 2, 2)
RADII = (0.0, 1 / 255, 0.3, 1.0)


def images(n: int = 6, seed: int = 0) -> Tensor:
    x = torch.rand(n, *SHAPE, generator=draws(seed))
    x[0], x[1] = 0.0, 1.0  # corners of the cube
    return x


def far(x: Tensor, seed: int = 1) -> Tensor:
    return x + torch.randn(x.shape, generator=draws(seed))


@pytest.mark.parametrize("epsilon", RADII)
@pytest.mark.parametrize("kind", [LInf, L2])
class TestEveryBall:
    def inside(self, ball: Ball, x_adv: Tensor) -> None:
        assert bool(((x_adv >= 0) & (x_adv <= 1)).all())
        assert bool((ball.distance(x_adv) <= ball.epsilon + 1e-6).all())

    @pytest.mark.parametrize("how", ["uniform", "gaussian", "none"])
    def test_crafting_starts_and_steps_inside(self, kind: type[Ball], epsilon: float, how: Start) -> None:
        ball = kind(images(), epsilon)
        start = ball.start(how, draws())
        self.inside(ball, start)
        self.inside(ball, ball.step(start, torch.randn(start.shape, generator=draws(2)), 0.7))
        assert how != "none" or torch.equal(start, ball.x)

    def test_projecting_twice_is_projecting_once(self, kind: type[Ball], epsilon: float) -> None:
        ball = kind(images(), epsilon)
        once = ball.project(far(ball.x))
        self.inside(ball, once)
        torch.testing.assert_close(ball.project(once), once, rtol=0, atol=1e-6)
        assert ball.project(ball.x) is not ball.x  # crafting asks its iterates for gradients

    def test_an_infinite_entry_is_projected_to_a_number(self, kind: type[Ball], epsilon: float) -> None:
        ball = kind(images(), epsilon)
        x_adv = ball.x.clone()
        x_adv[:, 0, 0, 0], x_adv[:, 1, 0, 0] = torch.inf, -torch.inf
        self.inside(ball, ball.project(x_adv))

    def test_the_direction_has_length_one_and_no_way_is_steeper(self, kind: type[Ball], epsilon: float) -> None:
        ball = kind(images(), epsilon)
        gradient = torch.randn(ball.x.shape, generator=draws(3))
        way = ball.direction(gradient)
        torch.testing.assert_close(ball.distance(ball.x + way), torch.ones(6), rtol=0, atol=1e-5)
        torch.testing.assert_close(ball.slope(gradient), (gradient * way).flatten(1).sum(1))
        for seed in range(20):
            other = torch.randn(ball.x.shape, generator=draws(seed))
            unit = other / ball.distance(ball.x + other).view(-1, 1, 1, 1)
            assert bool(((gradient * unit).flatten(1).sum(1) <= ball.slope(gradient) + 1e-5).all())

    def test_a_gradient_that_says_nothing_gives_no_way(self, kind: type[Ball], epsilon: float) -> None:
        ball = kind(images(), epsilon)
        gradient = torch.zeros_like(ball.x)
        assert torch.equal(ball.direction(gradient), gradient)
        gradient[:, 0, 0, 0], gradient[:, 0, 0, 1] = torch.nan, 1.0
        assert ball.direction(gradient)[0].flatten().tolist() == [0.0, 1.0] + 10 * [0.0]
        gradient[:, 0, 0, 0], gradient[:, 0, 0, 1] = torch.inf, -torch.inf
        assert bool(ball.direction(gradient).isfinite().all())
        for size in (
            1e-42,
            1e-38,
            3e38,
        ):  # their squares are 0, or infinite, in float32; the first has no full mantissa
            same = torch.full_like(ball.x, size)
            torch.testing.assert_close(ball.direction(same), ball.direction(torch.ones_like(ball.x)))

    def test_uniform_draws_spread_over_the_ball_by_its_dimension(self, kind: type[Ball], epsilon: float) -> None:
        """The share of a d-dimensional ball within the fraction r of its radius is r**d, in any norm."""
        ball = kind(torch.full((20_000, 2, 1, 1), 0.5), epsilon)
        distance = ball.distance(ball.uniform(draws()))
        for share in (0.3, 0.5, 0.9):
            within = float((distance <= share * epsilon + 1e-9).float().mean())
            assert within == pytest.approx(share**2 if epsilon else 1.0, abs=0.02)

    def test_each_image_may_have_a_radius_of_its_own(self, kind: type[Ball], epsilon: float) -> None:
        """Then all is as in a ball of one image; and equal radii, a tensor, are the number, in every bit."""
        x, gradient = images(), torch.randn(6, *SHAPE, generator=draws(3))
        radii = torch.tensor([epsilon, 0.0, 0.2, epsilon / 3, 0.7, epsilon], dtype=torch.float64)
        ball, points = kind(x, radii), far(x)
        steps = ball.step(points, gradient, radii / 4)
        for i, radius in enumerate(radii.tolist()):
            alone, one = kind(x[i : i + 1], radius), slice(i, i + 1)
            torch.testing.assert_close(ball.project(points)[one], alone.project(points[one]), rtol=0, atol=1e-6)
            torch.testing.assert_close(
                steps[one], alone.step(points[one], gradient[one], radius / 4), rtol=0, atol=1e-6
            )
        unit = kind(x, 1.0).uniform(draws()) - x
        torch.testing.assert_close(ball.uniform(draws()) - x, radii.float().view(-1, 1, 1, 1) * unit, rtol=0, atol=1e-6)
        number, tensor = kind(x, epsilon), kind(x, torch.full((6,), epsilon))
        assert torch.equal(tensor.uniform(draws()), number.uniform(draws()))
        assert torch.equal(tensor.project(points), number.project(points))
        with pytest.raises(ValueError, match="not one value for each of 6 images"):
            kind(x, radii[:1])

    def test_an_offset_is_cut_to_the_radius_whatever_the_image(self, kind: type[Ball], epsilon: float) -> None:
        """A point of the sphere, in a grey image's ball where it is small enough for [0, 1] to play no part."""
        offset = torch.randn(6, *SHAPE, generator=draws(4))
        offset[0] = 0.0
        cut = kind(images(), epsilon).shorten(offset)
        grey = kind(torch.full_like(offset, 0.5), min(epsilon, 0.3))
        assert bool((grey.distance(0.5 + cut) <= epsilon + 1e-6).all())
        torch.testing.assert_close(grey.shorten(offset), grey.project(0.5 + offset) - 0.5, rtol=0, atol=1e-6)
        torch.testing.assert_close(kind(images(), 100.0).shorten(offset), offset, rtol=1e-6, atol=0)
        if epsilon:
            assert torch.equal(kind(images(), torch.full((6,), epsilon)).shorten(offset), cut)

    def test_a_point_inside_stays_in_every_bit(self, kind: type[Ball], epsilon: float) -> None:
        ball = kind(images(), epsilon)
        inside = ball.x + 0.999 * (ball.start("uniform", draws()) - ball.x)
        assert torch.equal(ball.project(inside), inside)
        on_it = ball.project(far(ball.x))
        assert (
            torch.equal(ball.project(on_it), on_it) or epsilon < 0.1
        )  # at a small radius an image's own rounding shows


def test_the_start_of_trades_is_a_thousandth_of_normal_noise() -> None:
    x = torch.full((5, *SHAPE), 0.5)
    noise = torch.randn(x.shape, generator=draws(4))
    for kind in (LInf, L2):
        torch.testing.assert_close(kind(x, 0.3).start("gaussian", draws(4)), x + 0.001 * noise)
    assert GAUSSIAN_START_SCALE == 0.001


@given(seed=st.integers(0, 1000), epsilon=st.floats(0, 1))
def test_linf_pixel_by_pixel(seed: int, epsilon: float) -> None:
    x = images(2, seed)
    x_adv, ball = far(x, seed + 1), LInf(x, epsilon)
    projected, distance = ball.project(x_adv), ball.distance(x_adv)
    for i in range(len(x)):
        for a, b, found in zip(
            x[i].flatten().tolist(), x_adv[i].flatten().tolist(), projected[i].flatten(), strict=True
        ):
            assert float(found) == pytest.approx(
                min(max(b, a - epsilon, 0.0), max(min(a + epsilon, 1.0), 0.0)), abs=1e-6
            )
        pairs = zip(x[i].flatten().tolist(), x_adv[i].flatten().tolist(), strict=True)
        assert float(distance[i]) == pytest.approx(max(abs(a - b) for a, b in pairs), abs=1e-6)


@given(seed=st.integers(0, 1000), epsilon=st.floats(0.01, 2))
def test_l2_against_the_nearest_point_of_ball_and_box(seed: int, epsilon: float) -> None:
    """Where nothing is clipped they are one point; elsewhere the clipped point is in both sets, and not much farther.

    The nearest point is clip(x + (p - x) / (1 + lambda)) for the least lambda >= 0 that puts it into the ball: the
    condition of Karush, Kuhn, and Tucker, here by bisection in float64.
    """
    x = images(4, seed).double()
    point = far(x, seed + 1)
    projected, low, high = (
        L2(x, epsilon).project(point),
        torch.zeros(4, 1, 1, 1).double(),
        torch.full((4, 1, 1, 1), 1e6),
    )
    for _ in range(100):
        middle = (low + high.double()) / 2
        nearest = (x + (point - x) / (1 + middle)).clamp(0, 1)
        out = ((nearest - x).flatten(1).norm(dim=1) > epsilon).view(-1, 1, 1, 1)
        low, high = torch.where(out, middle, low), torch.where(out, high, middle)
    nearest = (x + (point - x) / (1 + high)).clamp(0, 1)

    def away(found: Tensor) -> Tensor:
        distance: Tensor = (found - point).flatten(1).norm(dim=1)
        return distance

    assert bool((away(projected) >= away(nearest) - 1e-6).all())
    scaled = x + (epsilon / (point - x).flatten(1).norm(dim=1)).clamp(max=1).view(-1, 1, 1, 1) * (point - x)
    free = (scaled == scaled.clamp(0, 1)).flatten(1).all(1)
    torch.testing.assert_close(projected[free], nearest[free], rtol=0, atol=1e-6)


@given(seed=st.integers(0, 1000), epsilon=st.floats(0.01, 5))
def test_l2_in_float64_with_lists(seed: int, epsilon: float) -> None:
    """Scaled back to the radius where the change is longer, then clipped to [0, 1]; computed without torch."""
    x = images(2, seed)
    x_adv, ball = far(x, seed + 1), L2(x, epsilon)
    projected, distance = ball.project(x_adv), ball.distance(x_adv)
    for i in range(len(x)):
        centre, point = x[i].flatten().tolist(), x_adv[i].flatten().tolist()
        length = math.dist(centre, point)
        scale = min(1.0, epsilon / length)
        expected = [min(max(a + scale * (b - a), 0.0), 1.0) for a, b in zip(centre, point, strict=True)]
        assert projected[i].flatten().tolist() == pytest.approx(expected, abs=1e-5)
        assert float(distance[i]) == pytest.approx(length, rel=1e-5)


def test_the_grey_radius_by_hand() -> None:
    assert LInf.grey((3, 32, 32)) == 0.5
    assert L2.grey((3, 32, 32)) == pytest.approx(0.5 * math.sqrt(3072))  # a black image is that far from grey


class TestThreat:
    def test_an_unknown_norm_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(HarnessError, match=r"^unknown norm 'linf'; did you mean 'Linf'\? known: L2, Linf$"):
            Threat(epsilon=0.1, steps=1, step_size=0.1, start="none", norm="linf")

    @pytest.mark.parametrize("value", [8, 8.0, "8"])
    def test_a_radius_in_units_of_255_is_refused_with_what_to_write(self, value: Any) -> None:
        with pytest.raises(HarnessError) as caught:
            make_threat(epsilon=value)
        expected = "it should be less than or equal to 1; pixels are in [0, 1], so write 8/255 rather than 8"
        assert str(caught.value) == f"epsilon=8 is refused: {expected}"

    def test_an_infinite_radius_is_refused_without_advice(self) -> None:
        with pytest.raises(HarnessError, match=r"^epsilon=inf is refused: it should be less than or equal to 1$"):
            make_threat(epsilon=math.inf)

    def test_each_norm_has_radii_of_its_own(self) -> None:
        threat = Threat(epsilon=3.0, steps=1, step_size=0.1, start="none", norm="L2")
        assert isinstance(threat.ball(images()), L2)
        with pytest.raises(HarnessError, match=r"^epsilon=inf is refused: it should be a finite number$"):
            Threat(epsilon=math.inf, steps=1, step_size=0.1, start="none", norm="L2")

    def test_the_norm_is_named_only_where_it_is_another(self) -> None:
        threat = make_threat()
        assert isinstance(threat.ball(images()), LInf)
        assert threat.resolved() == {"epsilon": 0.1, "steps": 5, "step_size": 0.03, "start": "uniform"}
        other = Threat.from_mapping(threat.resolved() | {"norm": "L2"})
        assert other.resolved() == threat.resolved() | {"norm": "L2"}
        assert other != threat
        for same in (copy.deepcopy(other), pickle.loads(pickle.dumps(other))):  # it goes to worker processes
            assert same == other

    def test_a_hidden_norm_may_be_read_only_at_its_default(self) -> None:
        class Hidden(Exception):
            pass

        assert make_threat().seen_as(("epsilon",), Hidden).norm == "Linf"
        other = Threat(epsilon=0.1, steps=1, step_size=0.1, start="none", norm="L2")
        with pytest.raises(Hidden):
            other.seen_as(("epsilon",), Hidden).ball(images())
        assert isinstance(other.seen_as(("epsilon", "norm"), Hidden).ball(images()), L2)


@pytest.mark.parametrize(
    ("epsilon", "text"),
    [
        *((level / 255, f"{level}/255") for level in (1, 2, 8, 16, 254)),
        (0.0313725490196078, "8/255"),  # as a file spells it, with 15 digits
        (0.1, "0.1"),
        (0.0314, "0.0314"),  # not 8/255, by one part in a thousand
        (0.2, "0.2"),  # 51/255, which nobody writes
        (0.0, "0"),
        (1.0, "1"),
        (2.5, "2.5"),  # in another norm
        (math.inf, "inf"),
    ],
)
def test_a_radius_is_written_as_people_write_it(epsilon: float, text: str) -> None:
    assert radius_text(epsilon) == text
    assert radius_text(epsilon, "L2") == f"{text} (L2)"
