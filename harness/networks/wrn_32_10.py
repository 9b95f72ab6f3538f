"""The wide ResNet of papers on adversarial training: WRN-32-10, which others call WRN-34-10."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import SettingError
from harness.plugin.network import Network, Shape

BLOCKS = 5  # per stage
WIDENING = 10


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


def stage(inputs: int, outputs: int, stride: int) -> nn.Module:
    """One stage; its first block changes resolution and width. ``layer`` gives the parameters RobustBench's names."""
    first = PreActivationBlock(inputs, outputs, stride)
    rest = [PreActivationBlock(outputs, outputs, stride=1) for _ in range(BLOCKS - 1)]
    return nn.Sequential(OrderedDict(layer=nn.Sequential(first, *rest)))


def initialise(model: nn.Module) -> None:
    """Convolutions from N(0, 2 / (kernel area x output channels)), linear bias 0; other parameters as torch's."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


@dataclass(frozen=True, kw_only=True)
class WRN32x10(Network):
    """Wide residual network, five blocks a stage and ten times as wide (Zagoruyko & Komodakis, BMVC 2016).

    Three stages of 160, 320, 640 channels: 46,160,474 parameters on three channels and ten classes, named as in
    RobustBench's ``WideResNet``, so checkpoints load either way.
    Madry et al. (ICLR 2018) count 32 layers: the 30 convolutions of the blocks, the first convolution, and the linear
    layer (their shortcuts have no parameters). The wide ResNet paper counts convolutions alone, with the three 1x1
    convolutions of the shortcuts: 34. Hence the name WRN-34-10 for the same network.
    Source: Zagoruyko & Komodakis, arXiv:1605.07146, table 1; for adversarial training github.com/yaodongyu/TRADES,
        models/wideresnet.py.
    Departs: from that code: the last pooling is global, which allows other sizes and at 32x32 equals its 8x8 pooling up
        to rounding; no ``sub_block1``, 2,102,112 parameters that the code registers and never uses (drop them from a
        checkpoint to load it); no dropout, which is off by default there.
    """

    def build(self, shape: Shape) -> nn.Module:
        if not (16 <= shape.height <= 64 and 16 <= shape.width <= 64):
            raise SettingError(
                f"wrn-32-10 takes images of 16x16 to 64x64, not {shape.height}x{shape.width}: "
                "it shrinks them fourfold; choose another --arch, such as smallcnn (8x8 to 32x32)"
            )
        narrow, middle, wide = 16 * WIDENING, 32 * WIDENING, 64 * WIDENING
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(shape.channels, 16, kernel_size=3, padding=1, bias=False),
            block1=stage(16, narrow, stride=1),
            block2=stage(narrow, middle, stride=2),
            block3=stage(middle, wide, stride=2),
            bn1=nn.BatchNorm2d(wide),
            relu=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(wide, shape.classes),
        )
        model = nn.Sequential(layers)
        initialise(model)
        return model
