"""The pre-activation ResNet-18, the network of most papers on fast adversarial training and on overfitting."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Doc

from harness.errors import SettingError
from harness.networks._deepmind import silu_preact_resnet18
from harness.networks._size import LARGE, require_size
from harness.plugin.network import Network, Shape


class PreActBasicBlock(nn.Module):
    """Batch-norm and ReLU before each of two 3x3 convolutions; no ReLU follows the sum with the shortcut.

    Args:
        activated: whether a shortcut that changes shape takes the activated features, or the block's input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, activated: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or inputs != outputs:  # in a Sequential, as RobustBench names it
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False))
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, inputs, h, w)`` to ``(batch, outputs, h / stride, w / stride)``, rounded up."""
        features = F.relu(self.bn1(x))
        around = x if self.shortcut is None else self.shortcut(features if self.activated else x)
        added: Tensor = self.conv2(F.relu(self.bn2(self.conv1(features)))) + around
        return added


@dataclass(frozen=True, kw_only=True)
class PreActResNet18(Network):
    """Pre-activation residual network of 18 layers, for small images (He et al., ECCV 2016).

    Four stages of two blocks, 64 to 512 channels wide. With ReLU it has 11,172,170 parameters on three channels and ten
    classes, named as in RobustBench's ``PreActResNet``; with SiLU 12,548,426, named as in its ``DMPreActResNet``.
    Checkpoints load either way.
    Released codes differ in two things, which are settings here. The defaults are those of Rice et al. (ICML 2020).
    RobustBench's networks of Wong et al. (ICLR 2020) and of Andriushchenko & Flammarion (NeurIPS 2020) have
    ``shortcut=input final_norm=false``, so that nothing is normalised or rectified before the last pooling.
    Source: He et al., arXiv:1603.05027; RobustBench 1.1.1, architectures/resnet.py; with SiLU Gowal et al.,
        arXiv:2010.03593, and RobustBench's architectures/dm_wide_resnet.py.
    Departs: from the paper, as these codes do: the first convolution is 3x3 with stride 1, and no max-pooling follows.
        From these codes: the last pooling is global, which allows other sizes and at 32x32 equals their 4x4 pooling up
        to rounding; with SiLU also as ``_deepmind`` says.
    """

    activation: Annotated[
        Literal["relu", "silu"],
        Doc("relu: RobustBench's PreActResNet; silu: DeepMind's network, whose shortcuts are 3x3 (its DMPreActResNet)"),
    ] = "relu"
    shortcut: Annotated[
        Literal["activated", "input"],
        Doc("what a shortcut that changes shape takes: the block's activated features, or its input (relu alone)"),
    ] = "activated"
    final_norm: Annotated[bool, Doc("batch-norm and ReLU before the last pooling (silu always has them)")] = True

    def check(self) -> None:
        if self.activation == "silu" and (self.shortcut != "activated" or not self.final_norm):
            raise SettingError(
                "shortcut and final_norm are refused with activation=silu: it has its own, so leave both"
            )

    def untold(self) -> tuple[str, ...]:
        return ("shortcut",) if self.activation == "relu" else ()

    def build(self, shape: Shape) -> nn.Module:
        require_size("preact-resnet18", shape, LARGE, "it shrinks them eightfold")
        return silu_preact_resnet18(shape) if self.activation == "silu" else self._with_relu(shape)

    def _with_relu(self, shape: Shape) -> nn.Module:
        activated = self.shortcut == "activated"
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(shape.channels, 64, kernel_size=3, padding=1, bias=False)
        )
        channels = 64
        for number in range(4):
            width = 64 * 2**number
            first = PreActBasicBlock(channels, width, stride=2 if number > 0 else 1, activated=activated)
            rest = PreActBasicBlock(width, width, stride=1, activated=activated)
            layers[f"layer{number + 1}"] = nn.Sequential(first, rest)
            channels = width
        if self.final_norm:
            layers |= {"bn": nn.BatchNorm2d(channels), "relu": nn.ReLU()}
        layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
        layers["linear"] = nn.Linear(channels, shape.classes)
        return nn.Sequential(layers)
