"""Histograms of an epoch: against numpy's, and by hand on edges and beyond the range; what a method may count."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.errors import PluginFault
from harness.events import Histogram
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Bins, Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.training.guard import MOST_BINS, guarded
from harness.training.histograms import Histograms, OtherBins
from harness.training.wrapped import wrapped_backward
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.losses import Odd, and_plain, plain
from tests.tiny import make_batch, make_step, make_tiny_model

IN_RANGE = st.lists(st.floats(-2.0, 3.0, width=32), max_size=40)


@given(batches=st.lists(IN_RANGE, min_size=1, max_size=4), bins=st.integers(1, 60))
def test_the_counts_are_numpys(batches: list[list[float]], bins: int) -> None:
    """Over the batches together, with the values beyond the range moved to its ends."""
    counted = Histograms()
    for batch in batches:
        counted.add("value", torch.tensor(batch), Bins(-1.0, 2.0, bins))
    edges = torch.linspace(-1.0, 2.0, bins + 1, dtype=torch.float64).numpy()
    expected, _ = np.histogram(np.clip(np.concatenate([np.zeros(0), *batches]), -1.0, 2.0), edges)
    assert counted.read() == (Histogram("value", -1.0, 2.0, tuple(expected.tolist())),)
    np.testing.assert_allclose(edges, np.linspace(-1.0, 2.0, bins + 1), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([0.0, 0.25, 0.5, 0.75, 1.0], (1, 1, 1, 2)),  # a bin holds its lower edge, the last one both
        ([-5.0, -math.inf], (2, 0, 0, 0)),
        ([5.0, math.inf], (0, 0, 0, 2)),
        ([0.2499, 0.2501], (1, 1, 0, 0)),
        ([], (0, 0, 0, 0)),
    ],
)
def test_edges_and_values_beyond_the_range_by_hand(values: list[float], counts: tuple[int, ...]) -> None:
    counted = Histograms()
    counted.add("value", torch.tensor(values), Bins(0.0, 1.0, 4))
    assert counted.read() == (Histogram("value", 0.0, 1.0, counts),)


def test_nan_is_in_no_bin_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    counted = Histograms()
    counted.add("value", torch.tensor([0.1, math.nan, 0.9, math.nan]), Bins(0.0, 1.0, 4))
    counted.add("other", torch.tensor([0.1]), Bins(0.0, 1.0, 4))
    assert [histogram.counts for histogram in counted.read()] == [(1, 0, 0, 0), (1, 0, 0, 1)]
    assert caplog.messages == ["2 of 4 values of value are NaN, and are in no bin of its histogram"]


def test_whole_numbers_have_a_bin_each() -> None:
    """As GAIRAT counts its steps to flip: 0 to 3 in four bins around them."""
    counted = Histograms()
    counted.add("steps", torch.tensor([0, 3, 3, 1]), Bins(-0.5, 3.5, 4))
    counted.add("steps", torch.tensor([3]), Bins(-0.5, 3.5, 4))
    assert counted.read()[0].counts == (1, 1, 0, 3)


def test_names_are_in_order_and_an_epoch_without_counts_has_none() -> None:
    counted = Histograms()
    assert counted.read() == ()
    for name in ("b", "a"):
        counted.add(name, torch.ones(2), Bins(0.0, 2.0, 1))
    assert [(one.name, one.counts) for one in counted.read()] == [("a", (2,)), ("b", (2,))]


@pytest.mark.parametrize("bins", [Bins(0.0, 1.0, 5), Bins(0.0, 2.0, 4), Bins(-1.0, 1.0, 4)])
def test_other_bins_under_a_name_are_refused_and_nothing_is_counted(bins: Bins) -> None:
    counted = Histograms()
    counted.add("value", torch.tensor([0.5]), Bins(0.0, 1.0, 4))
    with pytest.raises(OtherBins):
        counted.add("value", torch.tensor([0.5]), bins)
    assert counted.read()[0].counts == (0, 0, 1, 0)


def test_values_with_a_gradient_are_counted_and_keep_their_graph() -> None:
    counted, values = Histograms(), torch.tensor([0.5], requires_grad=True)
    doubled = 2 * values
    counted.add("value", doubled, Bins(0.0, 1.0, 2))
    torch.autograd.backward(doubled.sum())
    assert values.grad is not None
    assert values.grad.tolist() == [2.0]
    assert counted.read()[0].counts == (0, 1)


class Twice(Wrapper):
    """Takes the loss twice, as a stranger's wrapper does that plays by the rules."""

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        replayed = step.replayable()
        torch.autograd.grad(loss(replayed), list(step.model.parameters()))
        return inner(replayed.rewound(), loss)


@pytest.mark.parametrize(
    "wrappers",
    [[], [EMA()], [AWP()], [AWP(), AWP()], [AWP(), Twice()], [Twice(), AWP()]],
    ids=["none", "ema", "awp", "awp in awp", "awp in twice", "twice in awp"],
)
def test_an_update_is_counted_once_under_every_wrapper(wrappers: list[Wrapper]) -> None:
    """AWP takes the loss on the network's own weights, and again on perturbed ones; only the update's own counts."""
    model, (x, y) = make_tiny_model(), make_batch(12)
    counted, taken = Histograms(), list[Tensor]()

    def does(step: Step) -> Tensor:
        flipped = step.perturb(CrossEntropy()).steps_to_flip
        taken.append(flipped)
        step.count("steps_to_flip", flipped, low=-0.5, high=5.5, bins=6)
        return plain(step)

    loss = guarded(Odd(does=does), None)
    for wrapper in wrappers:
        wrapper.prepare(model)
    for _ in range(2):
        step = make_step(model, x, y)
        object.__setattr__(step, "tally", counted.add)
        wrapped_backward(wrappers)(step, loss)
    (histogram,) = counted.read()
    assert sum(histogram.counts) == 2 * 12
    twice = sum(not isinstance(wrapper, EMA) for wrapper in wrappers)
    assert len(taken) == 2 * (1 + twice)  # else nothing was shown
    expected = torch.bincount(torch.cat([taken[len(taken) // 2 - 1], taken[-1]]), minlength=6)
    assert histogram.counts == tuple(expected.tolist())


ODD: dict[str, tuple[Callable[[Step], object], str]] = {
    "no name": (lambda s: count(s, name=3), "it counts under the name 3; a name must be a string"),
    "a float": (lambda s: count(s, 0.5), "it counts gap as float; count real numbers of shape"),
    "a list": (lambda s: count(s, [0.5]), "it counts gap as list"),
    "a scalar": (lambda s: count(s, torch.tensor(0.5)), r"it counts gap as torch.float32 of shape \(\)"),
    "a matrix": (lambda s: count(s, torch.ones(2, 2)), r"it counts gap as torch.float32 of shape \(2, 2\)"),
    "complex numbers": (lambda s: count(s, torch.ones(2) * 1j), "it counts gap as torch.complex64"),
    "no bins": (lambda s: count(s, bins=0), f"from 0.0 to 1.0 in 0 bins; give low < high, and 1 to {MOST_BINS} bins"),
    "too many bins": (lambda s: count(s, bins=MOST_BINS + 1), f"in {MOST_BINS + 1} bins; give"),
    "half a bin": (lambda s: count(s, bins=2.5), r"in 2\.5 bins; give"),
    "an empty range": (lambda s: count(s, low=1.0), r"from 1\.0 to 1\.0 in 4 bins; give low < high"),
    "a range backwards": (lambda s: count(s, low=2.0), r"from 2\.0 to 1\.0"),
    "an endless range": (lambda s: count(s, high=math.inf), r"from 0\.0 to inf"),
    "no range": (lambda s: count(s, low=math.nan), r"from nan to 1\.0"),
    "other bins": (
        lambda s: list(map(partial(count_in, s), (4, 5))),
        "in other bins than before; use one range and number",
    ),
}


def count(
    step: Step, values: Any = None, *, name: Any = "gap", low: float = 0.0, high: float = 1.0, bins: Any = 4
) -> None:
    step.count(name, torch.ones(3) if values is None else values, low=low, high=high, bins=bins)


def count_in(step: Step, bins: int) -> None:
    count(step, bins=bins)


@pytest.mark.parametrize(("does", "problem"), ODD.values(), ids=ODD)
def test_what_cannot_be_counted_is_refused_in_one_line(does: Callable[[Step], object], problem: str) -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y)
    object.__setattr__(step, "tally", Histograms().add)
    with pytest.raises(PluginFault, match=problem) as caught:
        guarded(Odd(does=and_plain(does)), None)(step)
    assert str(caught.value).startswith("method 'odd' (")
    assert "\n" not in str(caught.value)


def test_most_bins_and_one_bin_are_counted() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    for bins in (1, MOST_BINS):
        step, counted = make_step(model, x, y), Histograms()
        object.__setattr__(step, "tally", counted.add)
        guarded(Odd(does=and_plain(lambda s, bins=bins: count(s, bins=bins))), None)(step)  # type: ignore[misc]
        (histogram,) = counted.read()
        assert (len(histogram.counts), histogram.counts[-1]) == (bins, 3)
