"""The parts of a bench, by hand: peaks and operations, the stopwatch, rates, and how many images are taken."""

from __future__ import annotations

import pytest
import torch

from harness.execution import peak
from harness.execution.bench_items import images_together
from harness.execution.peak import Arithmetic, count_arithmetic, measure_peak
from harness.execution.rates import Rates, time_passes
from harness.execution.stopwatch import Stopwatch
from harness.plugin.attack import Passes
from harness.plugin.network import Shape
from tests.harness.execution.ticking import TICKS, Ticking
from tests.tiny import make_batch, make_tiny_model

CPU = torch.device("cpu")


def test_operations_of_a_tiny_network_by_hand() -> None:
    # 8 filters of 3x3x3 at 9 places; then 72 inputs to 5 classes; a multiplication and an addition each
    convolution, linear = 2 * 8 * 27 * 9, 2 * 72 * 5
    found = count_arithmetic(make_tiny_model(), make_batch(2)[0])
    assert found.forward == convolution + linear
    assert found.input_backward == convolution + linear
    assert found.update_backward == convolution + 2 * linear  # nothing asks for the gradient of the image
    counted = Arithmetic(1.0, 10.0, 100.0)
    assert counted.crafting(Passes(3, 2)) == 23.0
    assert counted.update(Passes(3, 2)) == 203.0


def test_counting_leaves_the_network_as_it_is() -> None:
    model = make_tiny_model().train()
    count_arithmetic(model, make_batch(2)[0])
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_a_peak_is_the_fastest_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_PRODUCT", {"cpu": 4})
    monkeypatch.setattr(peak, "_CONVOLVED", {"cpu": 1})
    times = iter([5.0, 2.0, 0.5, 1.0] * 2)  # of the preparing call, then of the repeats
    now, begun = 0.0, False

    def clock() -> float:
        nonlocal now, begun
        if begun:
            now += next(times)
        begun = not begun
        return now

    found = measure_peak(CPU, "float32", 2 * 8.0, clock)  # 5 + 2 + 0.5 + 1 seconds are enough
    assert found.product == 2 * 4**3 / 0.5
    assert found.convolution == 2 * 9 * 256 * 256 * 32 * 32 / 0.5
    assert found.best == found.convolution


def test_a_stopwatch_adds_up_each_part() -> None:
    now = 0.0
    watch = Stopwatch(CPU, lambda: now)
    for _ in range(2):
        with watch.part("outer"):
            now += 1.0
            with watch.part("inner"):
                now += 4.0
    assert watch.read() == {"outer": 10.0, "inner": 8.0}
    assert watch.read() == {}


def test_passes_are_timed_until_they_take_long_enough() -> None:
    TICKS.begin()
    model = Ticking().build(make_shape()).eval().requires_grad_(False)
    x = torch.rand(100, 1, 8, 8)
    rates = time_passes(model, x, plain=True, clock=TICKS)
    assert rates.forward == pytest.approx(0.001)
    assert rates.backward == pytest.approx(0.002)
    # one image; then 4, 8, 16, and 32, of which the last take 0.03 s: one pass to prepare, two to measure, each twice
    assert TICKS.forward == 2 + 6 * (4 + 8 + 16 + 32)


def test_a_slow_network_passes_few_images() -> None:
    TICKS.begin()
    model = Ticking().build(make_shape()).eval().requires_grad_(False)
    slow = time_passes(model, torch.rand(100, 1, 8, 8), plain=True, clock=lambda: 100 * TICKS())
    assert slow.forward == pytest.approx(0.1)
    assert slow.backward == pytest.approx(0.2)
    assert TICKS.forward == 2 * (1 + 2)


def make_shape() -> Shape:
    return Shape(1, 8, 8, 10)


def test_rates_by_hand() -> None:
    rates = Rates(forward=1.0, backward=2.0)
    assert rates.step(Passes(10, 10), Passes(1, 1)) == 30 + 1 + 2 * 2
    assert rates.attack(Passes(5, 3)) == 11
    rates.learn_step(7.0, {"crafting": 0.0}, Passes(), Passes(1, 1))  # standard: 3.5 a pass of the update
    assert rates.step(Passes(10, 10), Passes(1, 1)) == 30 + 7
    rates.learn_step(50.0, {"crafting": 0.8}, Passes(10, 10), Passes(1, 1))  # 40 for 20 passes of crafting
    assert rates.step(Passes(20, 20), Passes(3, 3)) == 80 + 6 * (7 + 10) / 4


def test_rates_of_attacks_by_hand() -> None:
    rates = Rates(forward=1.0, backward=2.0)
    rates.learn_attack(5.5, Passes(11, 0))  # 0.5 a forward pass
    assert rates.attack(Passes(2, 1)) == 1 + 2
    rates.learn_attack(40.5, Passes(21, 20))  # and 1.5 a backward pass
    assert rates.attack(Passes(100, 10)) == 50 + 15


@pytest.mark.parametrize(
    ("wanted", "fewest", "image_s", "pass_s", "share", "most", "expected"),
    [
        (128, 16, 0.001, 1.0, 1.0, 2.0, 128),  # as a real run
        (128, 16, 0.1, 1.0, 10.0, 20.0, 64),  # 6.4 s of 7
        (128, 16, 0.1, 1.0, 1.5, 3.0, 16),  # more than its share, and less than twice as much
        (128, 16, 0.2, 1.0, 1.5, 3.0, None),  # too long even so
        (128, 16, 0.01, 0.0005, 0.1, 2.0, 40),  # fewer would hardly be faster: a pass of 40 takes 20 ms
        (10, 16, 0.01, 1.0, 1.0, 2.0, 10),
    ],
)
def test_how_many_images_are_taken(
    wanted: int, fewest: int, image_s: float, pass_s: float, share: float, most: float, expected: int | None
) -> None:
    assert images_together(wanted, fewest, image_s, pass_s, share, most) == expected
