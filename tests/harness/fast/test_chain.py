"""Convolutions that follow each other are one step of autograd, which gives what they give one after the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.fast.chain import Chain
from harness.fast.convolution import FoldedConvolution
from harness.fast.folded import Folded
from harness.fast.pairs import Run, chains, pairs
from harness.plugin.network import Shape
from tests.harness.fast.networks import Net, both, built, images, logits_and_gradient, settled
from tests.tiny import draws


def ordinary() -> nn.Sequential:
    """Three convolutions with their ReLUs, and the last layers of a network."""
    convolutions = nn.Conv2d(1, 16, 3, 1, 1), nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, 32, 3, 2, 1)
    layers = [layer for convolution in convolutions for layer in (convolution, nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


@pytest.mark.parametrize("size", [8, 64])  # of so many pixels the average is taken first
@pytest.mark.parametrize("ends", ["linear", "relu", "convolution"])
def test_a_chain_gives_what_its_layers_give_one_after_the_other(ends: str, size: int) -> None:
    plain = ordinary()
    layers = [FoldedConvolution(own, None, rectifies=True) for own in plain if isinstance(own, nn.Conv2d)]
    layers[-1].rectifies = ends != "convolution"
    chain = Chain(layers, plain[-1] if ends == "linear" else None)  # type: ignore[arg-type]
    of_plain = plain[: {"linear": None, "relu": 6, "convolution": 5}[ends]]
    x = torch.rand(4, 1, size, size, generator=draws()).requires_grad_()
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


def test_smallcnn_is_one_chain() -> None:
    found = pairs(built("smallcnn").eval(), images())
    assert [run.layers for run in found] == [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8", "9", "10", "11"]]
    assert [run.reader for run in found] == ["3", "6", None]
    assert chains(found, together=True) == [found]
    assert chains(found, together=False) == [[Run("0", "1")], [Run("3", "4")], [Run("6", "7")]]


class AddsInPlace(nn.Module):
    """A residual block that adds its shortcut in place, as the usual ones do."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.first, self.pool, self.relu = nn.Conv2d(3, channels, 3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.first(x)
        features = self.norm(self.conv(shortcut))
        features += shortcut
        features.mul_(2)
        return self.pool(self.relu(features)).flatten(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("channels", [2, 8, 64])  # strips, an ordinary convolution, tiles if the images are many
def test_a_network_may_write_into_what_a_chain_gives(channels: int) -> None:
    model, x = settled(AddsInPlace(channels)), images(Shape(3, 8, 8, 10), 40)
    folded = Folded(model, x)
    assert folded.fits(x)
    (logits, gradient) = logits_and_gradient(model, x)
    with folded.put_in():
        fast_logits, fast_gradient = logits_and_gradient(model, x)
    assert torch.allclose(fast_logits, logits, atol=1e-4)
    assert float((fast_gradient - gradient).norm() / gradient.norm()) < 1e-2


@pytest.mark.parametrize("size", [8, 32])
def test_no_images_give_no_logits_and_no_gradient(size: int) -> None:
    shape = Shape(1, size, size, 10)
    model = ordinary()
    folded = Folded(model.eval(), images(shape))
    assert folded.fits(images(shape))
    with folded.put_in():
        none = images(shape, 0).requires_grad_()
        logits = model(none)
        (gradient,) = torch.autograd.grad(logits.sum(), none)
        assert model(none.detach()).shape == logits.shape == (0, 10)
    assert gradient.shape == none.shape


class Sized(nn.Sequential):
    """A convolution, a ReLU, what is given, and a linear layer."""

    def __init__(self, *between: nn.Module, features: int = 4) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), *between, nn.Linear(features, 10))


def with_a_hook() -> nn.Module:
    model = Sized(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model[1].register_forward_hook(lambda _module, _inputs, outputs: 2 * outputs)
    return model


def in_blocks() -> nn.Sequential:
    first, second = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 5, 3), nn.ReLU())
    return nn.Sequential(first, second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 10))


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (None, [["0.0", "0.1", "1.0", "1.1", "2", "3", "4"]]),
        (0, [["0.0", "0.1"], ["1.0", "1.1", "2", "3", "4"]]),
        (1, [["0.0", "0.1"], ["1.0", "1.1"]]),
    ],
)
def test_the_hook_of_a_block_sees_what_the_block_gets_and_gives(block: int | None, expected: list[list[str]]) -> None:
    model, x = in_blocks().eval(), images()
    seen: list[Tensor] = []
    if block is not None:
        model[block].register_forward_hook(lambda _module, given, gives: seen.extend((*given, gives)))
    found = chains(pairs(model, x), together=True)
    assert [[name for run in chain for name in run.layers] for chain in found] == expected
    folded = Folded(model, x)
    assert folded.fits(x)
    seen.clear()
    model(x)
    with folded.put_in():
        model(x)
    half = len(seen) // 2
    for own, fast in zip(seen[:half], seen[half:], strict=True):
        assert torch.allclose(fast, own, atol=1e-5)


class ReadsTheReLUTwice(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relu, self.next = nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)

    def features(self, x: Tensor) -> Tensor:
        features = self.relu(super().features(x))
        return features + self.next(features)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: Sized(nn.AdaptiveAvgPool2d(1), nn.Flatten()), ["0", "1", "2", "3", "4"]),
        (lambda: Sized(nn.AdaptiveAvgPool2d(2), nn.Flatten(), features=16), ["0", "1"]),
        (lambda: Sized(nn.AdaptiveAvgPool2d(1), nn.Flatten(2), nn.Flatten()), ["0", "1"]),
        (lambda: Sized(nn.AdaptiveMaxPool2d(1), nn.Flatten()), ["0", "1"]),
        (with_a_hook, ["0"]),
        (ReadsTheReLUTwice, ["conv", "norm", "relu"]),
    ],
)
def test_a_run_ends_where_another_layer_follows(build: Callable[[], nn.Module], expected: list[str]) -> None:
    model = build().eval()
    run, *_ = pairs(model, images())
    assert run.layers == expected
    assert run.reader is None
    (logits, gradient), (fast_logits, fast_gradient) = both(model, images())
    assert torch.allclose(fast_logits, logits, atol=1e-5)
    assert torch.allclose(fast_gradient, gradient, atol=1e-5)
