"""WRN-34-10, as papers on adversarial training name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.networks._wide_resnet import WideResNet


@dataclass(frozen=True, kw_only=True)
class WRN34x10(WideResNet):
    """Wide residual network of depth 34, 10 times as wide (Zagoruyko & Komodakis, BMVC 2016).

    46,160,474 parameters on three channels and ten classes. With ReLU they are named as in RobustBench's
    ``WideResNet``, with SiLU as in its ``DMWideResNet``, so checkpoints load either way.
    With ReLU it is the network of ``wrn-32-10`` under its other name: rows of the two names are not ranked together.
    Use ``wrn-32-10`` to compare with the LRAT paper, and this name for SiLU.
    Source, Departs: as its base says.
    """

    same_as: ClassVar[str] = "wrn-32-10"

    depth: ClassVar[int] = 34
    width: ClassVar[int] = 10
