"""A small convolutional network for 8x8 to 32x32 images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval
from torch import nn
from typing_extensions import Doc

from harness.networks._size import SMALL, require_size
from harness.plugin.network import Network, Shape


@dataclass(frozen=True, kw_only=True)
class SmallCNN(Network):
    """Three 3x3 convolutions with batch-norm, global average pooling, one linear layer (this project's own).

    The second and third convolution have stride 2; widths are w, 2w, 2w. With w = 16 it has 14,458 parameters on one
    channel and ten classes.
    """

    width: Annotated[
        int, Interval(ge=1, le=4096), Doc("channels of the first convolution; the other two have twice as many")
    ] = 16

    def build(self, shape: Shape) -> nn.Module:
        require_size("smallcnn", shape, SMALL)
        layers: list[nn.Module] = []
        channels = shape.channels
        for width, stride in ((self.width, 1), (2 * self.width, 2), (2 * self.width, 2)):
            layers += [
                nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, shape.classes))
