"""The pre-activation networks of DeepMind's PyTorch code for adversarial training, with SiLU activations.

Two things tell these networks from others of the same depth and width: a convolution with stride 2 pads below and on
the right alone, as TensorFlow's ``SAME`` does; and parameters have other names, which are RobustBench's for them.
Source: Gowal et al., arXiv:2010.03593; github.com/deepmind/deepmind-research, adversarial_robustness/pytorch,
    model_zoo.py; RobustBench 1.1.1, architectures/dm_wide_resnet.py.
Departs: from that code: the networks take images in [0, 1] as they are, and have no normalisation inside; the last
    pooling is global, which at 32x32 equals that code's up to rounding; an odd number of pixels is padded on both
    sides, as ``SAME`` does (that code takes even numbers alone). Initial weights are torch's own, as there.
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from harness.plugin.network import Shape


def pad_same(x: Tensor, stride: int) -> Tensor:
    """Pad ``(batch, channels, h, w)`` for a 3x3 convolution as TensorFlow's ``SAME`` does."""
    if stride == 1:
        return F.pad(x, (1, 1, 1, 1))
    return F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1))  # without a branch, so that harness/fast can trace it


class WideBlock(nn.Module):
    """A block of the wide ResNet; a shortcut that changes the width is a 1x1 convolution of the activated features."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.batchnorm_0 = nn.BatchNorm2d(inputs)
        self.relu_0 = nn.SiLU()
        self.conv_0 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, bias=False)
        self.batchnorm_1 = nn.BatchNorm2d(outputs)
        self.relu_1 = nn.SiLU()
        self.conv_1 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.shortcut = (
            None if inputs == outputs else nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
        )
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, inputs, h, w)`` to ``(batch, outputs, h / stride, w / stride)``."""
        activated = self.relu_0(self.batchnorm_0(x))
        residual = self.conv_0(pad_same(activated, self.stride))
        residual = self.conv_1(self.relu_1(self.batchnorm_1(residual)))
        added: Tensor = residual + (x if self.shortcut is None else self.shortcut(activated))
        return added


class PreActBlock(nn.Module):
    """A block of the pre-activation ResNet-18; a shortcut that changes shape is a 3x3 convolution of the input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.batchnorm_0 = nn.BatchNorm2d(inputs)
        self.relu_0 = nn.SiLU()
        self.conv_2d_1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, bias=False)
        self.batchnorm_1 = nn.BatchNorm2d(outputs)
        self.relu_1 = nn.SiLU()
        self.conv_2d_2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, bias=False) if changes else None
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, inputs, h, w)`` to ``(batch, outputs, h / stride, w / stride)``."""
        residual = self.conv_2d_1(pad_same(self.relu_0(self.batchnorm_0(x)), self.stride))
        residual = self.conv_2d_2(self.relu_1(self.batchnorm_1(residual)))
        added: Tensor = residual + (x if self.shortcut is None else self.shortcut(pad_same(x, self.stride)))
        return added


def silu_wide_resnet(shape: Shape, depth: int, width: int) -> nn.Module:
    """``DMWideResNet`` with SiLU: images ``(batch, channels, h, w)`` in [0, 1] to logits ``(batch, classes)``."""
    groups, channels = [], 16
    for number in range(3):
        outputs = 16 * 2**number * width
        blocks = []
        for place in range((depth - 4) // 6):
            blocks.append(WideBlock(channels, outputs, stride=2 if number > 0 and place == 0 else 1))
            channels = outputs
        groups.append(nn.Sequential(OrderedDict(block=nn.Sequential(*blocks))))
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        init_conv=nn.Conv2d(shape.channels, 16, kernel_size=3, padding=1, bias=False),
        layer=nn.Sequential(*groups),
        **_head(channels, shape.classes),
    )
    return nn.Sequential(layers)


def silu_preact_resnet18(shape: Shape) -> nn.Module:
    """``DMPreActResNet`` of depth 18 with SiLU: images ``(batch, channels, h, w)`` to logits ``(batch, classes)``."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv_2d=nn.Conv2d(shape.channels, 64, kernel_size=3, padding=1, bias=False)
    )
    channels = 64
    for number in range(4):
        outputs = 64 * 2**number
        first = PreActBlock(channels, outputs, stride=2 if number > 0 else 1)
        layers[f"layer_{number}"] = nn.Sequential(first, PreActBlock(outputs, outputs, stride=1))
        channels = outputs
    layers |= _head(channels, shape.classes)
    return nn.Sequential(layers)


def _head(channels: int, classes: int) -> dict[str, nn.Module]:
    return {
        "batchnorm": nn.BatchNorm2d(channels),
        "relu": nn.SiLU(),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "logits": nn.Linear(channels, classes),
    }
