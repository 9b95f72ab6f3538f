"""ResNet-50 for small images: the first layers keep the full 32x32 resolution."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from harness.networks._resnet import Bottleneck, residual_network
from harness.plugin.network import Network, Shape


@dataclass(frozen=True, kw_only=True)
class ResNet50(Network):
    """Residual network of 50 layers, bottleneck blocks, for small images (He et al., CVPR 2016).

    Four stages of 3, 4, 6, and 3 bottleneck blocks, 256 to 2,048 channels wide: 23,520,842 parameters on three channels
    and ten classes. Parameters are named as in RobustBench's ``ResNet``, so checkpoints load either way.
    Source: He et al., arXiv:1512.03385, table 1; for small images RobustBench 1.1.1, architectures/resnet.py.
    Departs: from the paper, as RobustBench's code does: the first convolution is 3x3 with stride 1, no max-pooling
        follows, and the 3x3 convolution of a block has the stride, not the first 1x1. From that code: the last pooling
        is global, which allows other sizes and at 32x32 equals its 4x4 pooling up to rounding.
    """

    def build(self, shape: Shape) -> nn.Module:
        return residual_network("resnet50", shape, Bottleneck, (3, 4, 6, 3))
