"""ResNet-18 as papers on CIFAR-10 use it: the first layers keep the full 32x32 resolution."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from harness.networks._resnet import BasicBlock, residual_network
from harness.plugin.network import Network, Shape


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
        return residual_network("resnet18", shape, BasicBlock, (2, 2, 2, 2))
