"""The mean cosine of GradAlign where single precision, or a vanished gradient, would spoil it."""

from __future__ import annotations

import pytest
import torch

from harness.methods.grad_align import mean_cosine
from tests.tiny import draws


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e-38, 1e18])
def test_it_is_the_cosine_at_any_length_and_so_is_its_gradient(scale: float) -> None:
    first, second = torch.randn(2, 4, 3, 2, 2, generator=draws(1)).double()
    first, second = first.requires_grad_(), second.requires_grad_()
    expected = torch.nn.functional.cosine_similarity(first.flatten(1), second.flatten(1)).mean()
    gradients = torch.autograd.grad(expected, (first, second))
    short = [(scale * each.detach()).float().requires_grad_() for each in (first, second)]
    found = mean_cosine(*short)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
    for ours, theirs in zip(torch.autograd.grad(found, short), gradients, strict=True):
        assert bool(ours.isfinite().all())
        if scale != 1e-38:  # there the gradient is beyond the largest number of single precision, but for a few
            torch.testing.assert_close(ours.double() * scale, theirs, rtol=1e-4, atol=1e-5)


def test_pairs_without_a_cosine_are_left_out_and_get_no_gradient() -> None:
    first, second = torch.randn(2, 4, 3, 2, 2, generator=draws(2))
    first[0], second[2] = 0.0, 0.0
    others = mean_cosine(first[[1, 3]], second[[1, 3]])
    pair = first.requires_grad_(), second.requires_grad_()
    found = mean_cosine(*pair)
    torch.testing.assert_close(found, others)
    for gradient in torch.autograd.grad(found, pair):
        assert bool(gradient.isfinite().all())
        assert float(gradient[[0, 2]].abs().max()) == 0.0
    nothing = torch.zeros(3, 2).requires_grad_()
    none = mean_cosine(nothing, torch.ones(3, 2))
    assert float(none.detach()) == 1.0  # so the penalty is 0
    assert float(torch.autograd.grad(none, nothing)[0].abs().max()) == 0.0
