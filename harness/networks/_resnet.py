"""Residual networks for small images: the blocks, and the layers around them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from harness.networks._size import LARGE, require_size
from harness.plugin.network import Shape


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """The identity if the shapes are equal, else a 1x1 convolution and batch-norm (option B of the paper)."""
    layers = nn.Sequential()
    if stride != 1 or inputs != outputs:
        layers.append(nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False))
        layers.append(nn.BatchNorm2d(outputs))
    return layers


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them; the last ReLU follows their sum."""

    expansion: ClassVar[int] = 1  # channels out, by ``width``

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, inputs, h, w)`` to ``(batch, width, h / stride, w / stride)``, rounded up."""
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + self.shortcut(x))


class Bottleneck(nn.Module):
    """A 1x1, a 3x3, and a 1x1 convolution, and a shortcut around them; the 3x3 convolution has the stride."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, inputs, h, w)`` to ``(batch, 4 width, h / stride, w / stride)``, rounded up."""
        narrow = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(narrow)) + self.shortcut(x))


def residual_network(
    name: str, shape: Shape, block: type[BasicBlock] | type[Bottleneck], counts: Sequence[int]
) -> nn.Sequential:
    """Four stages of blocks, 64 to 512 wide, between a 3x3 convolution and global average pooling.

    Args:
        counts: how many blocks each stage has.
    Raises:
        SettingError: the images are too small or too large.
    """
    require_size(name, shape, LARGE, "it shrinks them eightfold")
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(shape.channels, 64, kernel_size=3, padding=1, bias=False),
        bn1=nn.BatchNorm2d(64),
        relu=nn.ReLU(),
    )
    channels = 64
    for number, count in enumerate(counts):
        width = 64 * 2**number
        blocks = []
        for place in range(count):
            blocks.append(block(channels, width, stride=2 if number > 0 and place == 0 else 1))
            channels = width * block.expansion
        layers[f"layer{number + 1}"] = nn.Sequential(*blocks)
    layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "linear": nn.Linear(channels, shape.classes)}
    return nn.Sequential(layers)
