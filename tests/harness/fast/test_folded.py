"""Faster layers compute what the network's own layers compute, and leave the network as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.fast.chain import Chain
from harness.fast.convolution import FoldedConvolution
from harness.fast.folded import Folded
from harness.fast.pairs import Run, pairs
from harness.registry.catalogue import discover
from tests.harness.fast.networks import Net, both, built, images, logits_and_gradient, settled

NETWORKS = [*sorted(discover("networks").found), "wrn activation=silu", "preact-resnet18 activation=silu"]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_the_same_logits_and_gradients_with_faster_layers(name: str) -> None:
    model = settled(built(name))
    x = images()
    (logits, gradient), (fast_logits, fast_gradient) = both(model, x)
    assert torch.allclose(fast_logits, logits, rtol=1e-4, atol=1e-5 * float(logits.abs().max()))
    assert float((fast_gradient - gradient).norm() / gradient.norm()) < 1e-2  # a ReLU at zero may open or shut
    counts = gradient.abs() > 0.1 * gradient.square().mean().sqrt()  # nearer to zero, rounding decides the sign
    assert float((fast_gradient.sign() == gradient.sign())[counts].float().mean()) > 0.999
    assert torch.equal(logits_and_gradient(model, x)[0], logits)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_convolution_that_feeds_a_batch_norm_alone_is_folded(name: str) -> None:
    model = built(name).eval()
    norms = {run.norm for run in pairs(model, images()) if run.norm is not None}
    expected = {"smallcnn": 3, "resnet18": 20, "resnet50": 53, "wrn-32-10": 16}  # of WRN's 31: the others follow a sum
    expected |= {"preact-resnet18": 8, "wrn": 7, "wrn activation=silu": 7, "vit-tiny": 0}
    assert len(norms) == expected.get(name, len(norms))


@pytest.mark.parametrize("geometry", [{}, {"padding": 1}, {"stride": 2}, {"dilation": 2, "padding": 2, "stride": 3}])
@pytest.mark.parametrize("kernel", [1, 3, (3, 2)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_gradient_for_the_input_is_autograds(geometry: dict[str, Any], kernel: int, channels: int) -> None:
    draws = torch.Generator().manual_seed(0)
    own = nn.Conv2d(channels, 6, kernel, **geometry)
    layer = Chain([FoldedConvolution(own, None)])
    x = torch.randn(3, channels, 9, 10, generator=draws).requires_grad_()
    by_hand, autograds = layer(x), own(x)
    assert torch.allclose(by_hand, autograds, atol=1e-5)
    weights = torch.randn(autograds.shape, generator=draws)
    (expected,) = torch.autograd.grad((autograds * weights).sum(), x)
    (given,) = torch.autograd.grad((by_hand * weights).sum(), x)
    assert torch.allclose(given, expected, atol=1e-4)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_folding_is_the_formula(affine: bool, bias: bool) -> None:
    own, norm = nn.Conv2d(5, 4, 3, bias=bias), nn.BatchNorm2d(4, affine=affine)
    model = settled(nn.Sequential(own, norm)) if affine else nn.Sequential(own, norm).eval()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    x = torch.rand(2, 5, 6, 6)
    scale = (norm.weight if affine else 1) / (norm.running_var + norm.eps).sqrt()
    with torch.no_grad():
        z = F.conv2d(x, own.weight, own.bias)
        shift = norm.bias if affine else torch.zeros(4)
        by_hand = (z - norm.running_mean[:, None, None]) * scale[:, None, None] + shift[:, None, None]
        assert torch.allclose(Chain([FoldedConvolution(own, norm)])(x), by_hand, atol=1e-5)
        assert torch.allclose(model(x), by_hand, atol=1e-5)


def test_a_change_of_weights_or_statistics_is_seen_at_once() -> None:
    model = settled(built("smallcnn"))
    x = images()
    folded = Folded(model, x)
    settled(model, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
        with folded.put_in():
            fast = model(x)
        assert torch.allclose(fast, model(x), atol=1e-4)
    assert folded.fits(x)


def test_what_is_put_in_is_taken_out_after_an_exception_too() -> None:
    model = settled(built("smallcnn"))
    before = [id(module) for module in model.modules()]
    parameters = [id(parameter) for parameter in model.parameters()]
    folded = Folded(model, images())
    with contextlib.suppress(ZeroDivisionError), folded.put_in():
        inside = [id(module) for module in model.modules()]
        raise ZeroDivisionError
    assert inside != before
    assert [id(module) for module in model.modules()] == before
    assert [id(parameter) for parameter in model.parameters()] == parameters


class BranchesOnValues(Net):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x) if x.sum() > 0 else -super().features(x)


class Draws(Net):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x + torch.rand(x.shape[1:]))


class DrawsLike(Net):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x + torch.rand_like(x))


class Drops(Net):
    def features(self, x: Tensor) -> Tensor:
        return F.dropout(super().features(x), training=True)


class CountsInABuffer(Net):
    def features(self, x: Tensor) -> Tensor:
        self.count += 1
        return super().features(x)


class CountsInAnAttribute(Net):
    def features(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().features(x)


class CountsInAList(Net):
    def features(self, x: Tensor) -> Tensor:
        self.seen.append(1)
        return super().features(x)


class Raises(Net):
    def __deepcopy__(self, memo: object) -> Net:
        raise RuntimeError("no copies")


@pytest.mark.parametrize(
    "kind", [BranchesOnValues, Draws, DrawsLike, Drops, CountsInABuffer, CountsInAnAttribute, CountsInAList, Raises]
)
def test_a_network_that_does_more_than_compute_keeps_its_layers(kind: type[Net]) -> None:
    model = kind().eval()
    before = torch.get_rng_state()
    assert pairs(model, images()) == []
    assert not Folded(model, images()).fits(images())
    assert torch.equal(torch.get_rng_state(), before)
    assert (float(model.get_buffer("count")), model.calls, model.seen) == (0, 0, [])


class ReadsTwice(Net):
    def features(self, x: Tensor) -> Tensor:
        z = self.conv(x)
        return self.norm(z) + z  # type: ignore[no-any-return]


class UsesTheNormTwice(Net):
    def features(self, x: Tensor) -> Tensor:
        return self.norm(F.relu(self.norm(self.conv(x))))  # type: ignore[no-any-return]


class ReadsTheNorm(Net):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x) + self.norm.weight[:, None, None]


def hooked() -> Net:
    model = Net()
    model.norm.register_forward_hook(lambda _module, _inputs, outputs: outputs + 1)
    return model


def without_statistics() -> Net:
    model = Net()
    model.norm = nn.BatchNorm2d(4, track_running_stats=False)
    return model


def subclassed() -> Net:
    class Norm(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 1

    model = Net()
    model.norm = Norm(4)
    return model


@pytest.mark.parametrize(
    "build",
    [ReadsTwice, UsesTheNormTwice, ReadsTheNorm, hooked, without_statistics, subclassed],
    ids=lambda f: f.__name__,
)
def test_a_batch_norm_that_is_more_than_a_scale_of_one_convolution_stays(build: Callable[[], Net]) -> None:
    model = settled(build()) if build is not without_statistics else build().eval()
    x = images()
    assert [run.norm for run in pairs(model, x) if run.norm is not None] == []
    logits = model(x)
    folded = Folded(model, x)
    assert folded.fits(x) == (build is not subclassed)  # a trace enters a subclass, and does not get through its checks
    with folded.put_in():
        assert torch.allclose(model(x), logits, atol=1e-5)


def test_layers_that_were_exchanged_after_the_trace_are_noticed() -> None:
    model = settled(Net())
    folded = Folded(model, images())
    model.norm = nn.BatchNorm2d(4).eval()
    assert not folded.fits(images())


def test_a_network_that_asks_its_layers_for_their_kind_is_noticed() -> None:
    class Asks(Net):
        def features(self, x: Tensor) -> Tensor:
            return super().features(x) * (1 if isinstance(self.norm, nn.BatchNorm2d) else 2)

    model = settled(Asks())
    assert pairs(model, images()) == [Run("conv", "norm")]
    assert not Folded(model, images()).fits(images())


def test_a_network_that_cuts_the_gradient_of_other_layers_is_noticed() -> None:
    class Cuts(Net):
        def features(self, x: Tensor) -> Tensor:
            features = super().features(x)
            return features if isinstance(self.norm, nn.BatchNorm2d) else features.detach() + 0 * x.mean()

    model, x = settled(Cuts()), images()
    folded = Folded(model, x)
    logits = model(x)
    with folded.put_in():
        assert torch.allclose(model(x), logits, atol=1e-5)  # the logits alone do not show it
    assert not folded.fits(x)


def test_a_network_without_gradient_may_have_faster_layers() -> None:
    class Without(Net):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x)

    assert Folded(settled(Without()), images()).fits(images())


def test_a_network_that_flattens_features_by_view_gets_them_with_channels_first() -> None:
    class Views(Net):
        def features(self, x: Tensor) -> Tensor:
            features = super().features(x)
            return features.view(x.size(0), -1).view(features.shape)

    model = settled(Views())
    (logits, gradient), (fast_logits, fast_gradient) = both(model, images())
    assert torch.allclose(fast_logits, logits, atol=1e-5)
    assert torch.allclose(fast_gradient, gradient, atol=1e-5)
