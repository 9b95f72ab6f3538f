"""ResNet-18 as papers on CIFAR-10 use it: the first layers keep the full 32x32 resolution."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import SettingError
from harness.plugin.network import Network, Shape


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them; the last ReLU follows their sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()  # the identity, if the shapes are equal
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, inputs, h, w)`` to ``(batch, outputs, h / stride, w / stride)``, rounded up."""
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + self.shortcut(x))


def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Two basic blocks; the first one changes the resolution and the width."""
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, stride=1))


@dataclass(frozen=True, kw_only=True)
class ResNet18(Network):
    """Residual network of 18 layers, for small images (He et al., CVPR 2016).

    Four stages of two post-activation blocks, 64 to 512 channels wide: 11,173,962 parameters on three channels and ten
    classes. Parameters are named as in RobustBench's ``ResNet``, so checkpoints load either way.
    Source: He et al., arXiv:1512.03385, table 1; for small images RobustBench 1.1.1, architectures/resnet.py.
    Departs: from the paper, as RobustBench's code does: the first convolution is 3x3 with stride 1, and no max-pooling
        follows (shortcuts that change shape are the paper's option B, 1x1 convolutions). From that code: the last
        pooling is global, which allows other sizes and at 32x32 equals its 4x4 pooling up to rounding.
    """

    def build(self, shape: Shape) -> nn.Module:
        if not (16 <= shape.height <= 64 and 16 <= shape.width <= 64):
            raise SettingError(
                f"resnet18 takes images of 16x16 to 64x64, not {shape.height}x{shape.width}: "
                "it shrinks them eightfold; choose another --arch, such as smallcnn (8x8 to 32x32)"
            )
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(shape.channels, 64, kernel_size=3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(64),
            relu=nn.ReLU(),
            layer1=stage(64, 64, stride=1),
            layer2=stage(64, 128, stride=2),
            layer3=stage(128, 256, stride=2),
            layer4=stage(256, 512, stride=2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            linear=nn.Linear(512, shape.classes),
        )
        return nn.Sequential(layers)
