"""Wide residual networks of any depth and width: the one that the TRADES code made usual, and DeepMind's with SiLU."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Doc

from harness.networks._deepmind import silu_wide_resnet
from harness.networks._size import LARGE, require_size
from harness.plugin.network import Network, Shape

Activation = Literal["relu", "silu"]


class PreActivationBlock(nn.Module):
    """Batch-norm and ReLU before each of two 3x3 convolutions; no ReLU follows the sum with the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.convShortcut = (
            None if inputs == outputs else nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, inputs, h, w)`` to ``(batch, outputs, h / stride, w / stride)``, rounded up."""
        activated = F.relu(self.bn1(x))
        residual: Tensor = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        # an identity shortcut takes x, a projection the activated x: as in the released code, and results depend on it
        return residual + (x if self.convShortcut is None else self.convShortcut(activated))


def stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Module:
    """One stage; its first block changes resolution and width. ``layer`` gives the parameters RobustBench's names."""
    first = PreActivationBlock(inputs, outputs, stride)
    rest = [PreActivationBlock(outputs, outputs, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(OrderedDict(layer=nn.Sequential(first, *rest)))


def initialise(model: nn.Module) -> None:
    """Convolutions from N(0, 2 / (kernel area x output channels)), linear bias 0; other parameters as torch's."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def relu_wide_resnet(shape: Shape, depth: int, width: int) -> nn.Module:
    """RobustBench's ``WideResNet``: images ``(batch, channels, h, w)`` in [0, 1] to logits ``(batch, classes)``.

    Args:
        depth: of the paper's count, 6 n + 4: n blocks a stage.
        width: by how much a stage is wider than 16, 32, 64 channels.
    """
    blocks = (depth - 4) // 6
    narrow, middle, wide = 16 * width, 32 * width, 64 * width
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(shape.channels, 16, kernel_size=3, padding=1, bias=False),
        block1=stage(16, narrow, stride=1, blocks=blocks),
        block2=stage(narrow, middle, stride=2, blocks=blocks),
        block3=stage(middle, wide, stride=2, blocks=blocks),
        bn1=nn.BatchNorm2d(wide),
        relu=nn.ReLU(),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(wide, shape.classes),
    )
    model = nn.Sequential(layers)
    initialise(model)
    return model


@dataclass(frozen=True, kw_only=True)
class WideResNet(Network):
    """Base of the wide residual networks, which have their depth and width in their name.

    Source: Zagoruyko & Komodakis, arXiv:1605.07146, table 1. With ReLU: github.com/yaodongyu/TRADES,
        models/wideresnet.py, and RobustBench 1.1.1, architectures/wide_resnet.py. With SiLU: ``_deepmind``.
    Departs: with ReLU from that code: the last pooling is global, which allows other sizes and at 32x32 equals its 8x8
        pooling up to rounding; no ``sub_block1``, which the TRADES code registers and never uses; no dropout, which is
        off by default there. With SiLU: see ``_deepmind``.
    """

    depth: ClassVar[int]
    width: ClassVar[int]

    activation: Annotated[
        Activation,
        Doc("relu: the network of the TRADES code (RobustBench's WideResNet); silu: DeepMind's (its DMWideResNet)"),
    ] = "relu"

    def build(self, shape: Shape) -> nn.Module:
        require_size(self.name, shape, LARGE, "it shrinks them fourfold")
        depth, width = self.dimensions()
        return (relu_wide_resnet if self.activation == "relu" else silu_wide_resnet)(shape, depth, width)

    def dimensions(self) -> tuple[int, int]:
        """Depth and width."""
        return self.depth, self.width
