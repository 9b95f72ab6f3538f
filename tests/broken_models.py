"""Deliberately broken models: each wraps a sound network and breaks it in one way that flatters its robustness."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Around(nn.Module):
    """A sound network, and something done to what goes in or comes out."""

    def __init__(self, sound: nn.Module, change: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.sound, self.change = sound, change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.sound, x)


def quantised(sound: nn.Module) -> nn.Module:
    """Input rounded to nine levels: no gradient passes."""
    return Around(sound, lambda net, x: net((x * 8).round() / 8))


def rounded_features(sound: nn.Module) -> nn.Module:
    """Features rounded deep inside: no gradient passes."""
    assert isinstance(sound, nn.Sequential)
    return Around(sound, lambda net, x: net[6:]((net[:6](x) * 2).round() / 2))  # type: ignore[index]


def detached(sound: nn.Module) -> nn.Module:
    """The input is cut off the graph; the answers are the sound ones."""
    return Around(sound, lambda net, x: net(x.detach()))


def softmax(sound: nn.Module) -> nn.Module:
    """Probabilities in place of logits."""
    return Around(sound, lambda net, x: net(x).softmax(1))


def scaled(sound: nn.Module) -> nn.Module:
    """Logits ten thousand times too large: the cross-entropy's gradient vanishes in float32."""
    return Around(sound, lambda net, x: 1e4 * net(x))


def tiny_logits(sound: nn.Module) -> nn.Module:
    """Logits a thousand times too small: all wrong classes weigh alike in the cross-entropy."""
    return Around(sound, lambda net, x: 1e-3 * net(x))


def ten_times(sound: nn.Module) -> nn.Module:
    """Logits ten times as large, from which PGD fares no worse."""
    return Around(sound, lambda net, x: 10 * net(x))


def squashed_margins(sound: nn.Module) -> nn.Module:
    """Small margins on easy images, as reweighted training leaves them: m becomes 0.3 log(1 + m), in the same order."""

    def change(net: nn.Module, x: Tensor) -> Tensor:
        logits: Tensor = net(x)
        highest = logits.topk(2, 1).values
        margin = (highest[:, :1] - highest[:, 1:]).clamp(min=1e-6)
        return 0.3 * logits * margin.log1p() / margin

    return Around(sound, change)


def decoys(sound: nn.Module) -> nn.Module:
    """A hundred classes more, which never win, with steep gradients; and logits so small that these outweigh all."""
    waves = torch.randn(64, 100, generator=torch.Generator().manual_seed(5))

    def change(net: nn.Module, x: Tensor) -> Tensor:
        logits: Tensor = net(x)
        never = logits.amax(1, keepdim=True) - 6 + 1.5 * (8 * x.flatten(1) @ waves).sin()
        return 0.01 * torch.cat([logits, never], 1)

    return Around(sound, change)


def random_resize(sound: nn.Module) -> nn.Module:
    """Each pass resizes the images at random and pads them at a random place (Xie et al. 2018), finely."""

    def change(net: nn.Module, x: Tensor) -> Tensor:
        size = int(torch.randint(28, 33, ()))
        left, top = (int(torch.randint(33 - size, ())) for _ in range(2))
        larger = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
        padded = F.pad(larger, (left, 32 - size - left, top, 32 - size - top))
        logits: Tensor = net(F.adaptive_avg_pool2d(padded, x.shape[-1]))
        return logits

    return Around(sound, change)


def functional_dropout(sound: nn.Module) -> nn.Module:
    """Dropout that never heard of evaluation mode."""
    return Around(sound, lambda net, x: F.dropout(net(F.dropout(x, 0.1, training=True)), 0.1, training=True))


class StubbornDropout(nn.Dropout):
    """A dropout that stays in training mode."""

    def train(self, mode: bool = True) -> StubbornDropout:
        self.training = True
        return self


def dropout_left_on(sound: nn.Module) -> nn.Module:
    """A module that stays in training mode after .eval()."""
    return nn.Sequential(StubbornDropout(0.1), sound)


class StubbornBatchNorm(nn.BatchNorm2d):
    """A batch-norm that stays in training mode: answers depend on the batch, and each pass moves its statistics."""

    def train(self, mode: bool = True) -> StubbornBatchNorm:
        self.training = True
        return self


def batch_statistics(sound: nn.Module) -> nn.Module:
    """A batch-norm in training mode in front of the network."""
    return nn.Sequential(StubbornBatchNorm(1), sound)


class Constant(nn.Module):
    """The same answer to everything."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.arange(float(classes)))

    def forward(self, x: Tensor) -> Tensor:
        return self.answer.expand(len(x), -1)


def constant(sound: nn.Module) -> nn.Module:
    """Ignores the image."""
    return Constant()


def not_a_number(sound: nn.Module) -> nn.Module:
    """NaN for images that are a little darker than the rest."""

    def change(net: nn.Module, x: Tensor) -> Tensor:
        logits: Tensor = net(x)
        return logits.where(x.flatten(1).mean(1, keepdim=True) > 0.28, torch.nan)

    return Around(sound, change)


def seeds_torch(sound: nn.Module) -> nn.Module:
    """Its noise is always the same, by seeding the generator that the whole process shares."""

    def change(net: nn.Module, x: Tensor) -> Tensor:
        torch.manual_seed(0)
        logits: Tensor = net(x + 0.01 * torch.randn_like(x[:1]))
        return logits

    return Around(sound, change)


def draws_from_numpy(sound: nn.Module) -> nn.Module:
    """Noise of numpy's on the logits, beside a masked class: the largest logit says nothing of it."""

    def change(net: nn.Module, x: Tensor) -> Tensor:
        noise = torch.as_tensor(np.random.standard_normal((len(x), 10)), dtype=x.dtype)
        logits: Tensor = net(x) + 0.3 * noise
        return logits.masked_fill(torch.arange(10) == 9, -1e9)

    return Around(sound, change)


def changes_dtype(sound: nn.Module) -> nn.Module:
    """Leaves another default type of tensors behind."""

    def change(net: nn.Module, x: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        logits: Tensor = net(x)
        return logits

    return Around(sound, change)


def exchanged(sound: nn.Module) -> nn.Module:
    """Two of its outputs stand for each other's class."""
    return Around(sound, lambda net, x: net(x)[:, [0, 1, 2, 3, 4, 6, 5, 7, 8, 9]])


def shifted(sound: nn.Module) -> nn.Module:
    """Each output stands for the class before it."""
    return Around(sound, lambda net, x: net(x).roll(1, 1))


def five_outputs(sound: nn.Module) -> nn.Module:
    """Too few classes."""
    return Around(sound, lambda net, x: net(x)[:, :5])


def a_map(sound: nn.Module) -> nn.Module:
    """Outputs with a spatial axis left in."""
    return Around(sound, lambda net, x: net(x)[:, :, None])


class Landscape(nn.Module):
    """Two classes whose margin is a given piecewise linear function of how far the mean pixel has moved.

    Images of class 0 and 1 have a mean of 0.2 and 0.8, and move towards each other; half way the answer turns. One
    knows where an attack ends and where the network is right, so that each flaw has a landscape on which it must show.

    Args:
        nodes: distance and margin there, by distance; the first piece goes on below, the last margin above.
    """

    centres = (0.2, 0.8)

    def __init__(self, *nodes: tuple[float, float]) -> None:
        super().__init__()
        self.nodes = nodes

    def forward(self, x: Tensor) -> Tensor:
        mean = x.flatten(1).mean(1)
        of_one = mean > 0.5
        distance = torch.where(of_one, self.centres[1] - mean, mean - self.centres[0])
        margin = torch.full_like(mean, self.nodes[0][1])
        for index, ((start, low), (end, high)) in enumerate(pairwise(self.nodes)):
            reached = distance.clamp(start if index else -1.0, end) - start
            margin = margin + reached * (high - low) / (end - start)
        logit = torch.where(of_one, -margin, margin) / 2
        return torch.stack([logit, -logit], 1)


def landscape_images(n: int = 60, size: int = 8) -> tuple[Tensor, Tensor]:
    """Even images of the two classes in turn, at distance 0.0005."""
    y = torch.arange(n) % 2
    level = torch.where(y == 1, Landscape.centres[1] - 0.0005, Landscape.centres[0] + 0.0005)
    return level[:, None, None, None].expand(n, 1, size, size).clone(), y
