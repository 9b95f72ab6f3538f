"""WRN-34-20, as papers on adversarial training name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.networks._wide_resnet import WideResNet


@dataclass(frozen=True, kw_only=True)
class WRN34x20(WideResNet):
    """Wide residual network of depth 34, 20 times as wide (Zagoruyko & Komodakis, BMVC 2016).

    184,531,674 parameters on three channels and ten classes. With ReLU they are named as in RobustBench's
    ``WideResNet``, with SiLU as in its ``DMWideResNet``, so checkpoints load either way.
    Source, Departs: as its base says.
    """

    depth: ClassVar[int] = 34
    width: ClassVar[int] = 20
