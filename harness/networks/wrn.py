"""A wide ResNet of any depth and width."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from harness.errors import SettingError
from harness.networks._wide_resnet import WideResNet

NAMED = ("28-10", "34-10", "34-20", "70-16")  # networks of their own: one network, one name
MOST = 1000  # a depth or width that nobody means, and that no memory holds


@dataclass(frozen=True, kw_only=True)
class WRN(WideResNet):
    """Wide residual network of a depth and a width that you choose (Zagoruyko & Komodakis, BMVC 2016).

    ``--set size=40-2`` is WRN-40-2. WRN-16-4, the default, has 2,748,890 parameters on three channels and ten classes.
    Source, Departs: as its base says.
    """

    size: Annotated[str, Doc("DEPTH-WIDTH: the depth is 6 n + 4, with n blocks a stage, and the width at least 1")] = (
        "16-4"
    )

    def check(self) -> None:
        if self.size in NAMED:
            raise SettingError(f"size={self.size} is refused: that network has a name; write --arch wrn-{self.size}")
        found = re.fullmatch(r"([1-9]\d{0,3})-([1-9]\d{0,3})", self.size, re.ASCII)
        depth, width = map(int, found.groups()) if found else (0, 0)
        if not (10 <= depth <= MOST and depth % 6 == 4 and 1 <= width <= MOST):
            raise SettingError(
                f"size={self.size} is refused: write DEPTH-WIDTH, such as 16-4; the depth is 10, 16, 22, 28, ..."
            )

    def dimensions(self) -> tuple[int, int]:
        depth, width = self.size.split("-")
        return int(depth), int(width)
