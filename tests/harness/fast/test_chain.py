"""Convolutions that follow each other are one step of autograd, which gives what they give one after the other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.fast.chain import Chain
from harness.fast.convolution import FoldedConvolution
from tests.tiny import draws


def ordinary() -> nn.Sequential:
    """Three convolutions with their ReLUs, and the last layers of a network."""
    convolutions = nn.Conv2d(1, 16, 3, 1, 1), nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, 32, 3, 2, 1)
    layers = [layer for convolution in convolutions for layer in (convolution, nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


@pytest.mark.parametrize("ends", ["linear", "relu", "convolution"])
def test_a_chain_gives_what_its_layers_give_one_after_the_other(ends: str) -> None:
    plain = ordinary()
    layers = [FoldedConvolution(own, None, rectifies=True) for own in plain if isinstance(own, nn.Conv2d)]
    layers[-1].rectifies = ends != "convolution"
    chain = Chain(layers, plain[-1] if ends == "linear" else None)  # type: ignore[arg-type]
    of_plain = plain[: {"linear": None, "relu": 6, "convolution": 5}[ends]]
    x = torch.rand(4, 1, 8, 8, generator=draws()).requires_grad_()
    expected, given = of_plain(x), chain(x)
    assert torch.allclose(given, expected, atol=1e-6)
    assert torch.allclose(chain(x.detach()), expected, atol=1e-6)
    weights = torch.randn(expected.shape, generator=draws(1))
    gradients = [torch.autograd.grad((outputs * weights).sum(), x)[0] for outputs in (given, expected)]
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):  # every layer goes through autograd
        expected, given = of_plain(x), chain(x)
    assert given.dtype == expected.dtype
    assert torch.allclose(given.float(), expected.float(), atol=0.02)


def test_a_gradient_may_be_asked_for_twice() -> None:
    """Masking writes into gradients, so none of it may be what somebody else holds."""
    plain = ordinary()
    chain = Chain([FoldedConvolution(plain[0], None, rectifies=True)])  # type: ignore[arg-type]
    x = torch.rand(2, 1, 8, 8, generator=draws()).requires_grad_()
    outputs, weights = chain(x), torch.ones(2, 16, 8, 8)
    first, second = (torch.autograd.grad(outputs, x, weights, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(weights, torch.ones(2, 16, 8, 8))
