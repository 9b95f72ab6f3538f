"""The wide ResNet of papers on adversarial training: WRN-32-10, which others call WRN-34-10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from harness.networks._size import LARGE, require_size
from harness.networks._wide_resnet import relu_wide_resnet
from harness.plugin.network import Network, Shape


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

    width: ClassVar[int] = 10

    def build(self, shape: Shape) -> nn.Module:
        require_size("wrn-32-10", shape, LARGE, "it shrinks them fourfold")
        return relu_wide_resnet(shape, depth=34, width=self.width)
