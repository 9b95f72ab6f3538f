"""Projected gradient descent on Carlini and Wagner's margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from typing_extensions import Doc

from harness.attacks._ascent import Ascent
from harness.plugin.adversary import Margin


@dataclass(frozen=True, kw_only=True)
class CW(Ascent):
    """PGD on the logit margin (Carlini and Wagner, S&P 2017, arXiv:1608.04644; Algorithm 3 of the LRAT paper).

    Departs: this is the L-infinity attack that papers on adversarial training call CW. Other libraries call Carlini
    and Wagner's own L2 optimisation CW.
    """

    kappa: Annotated[float, Ge(0), Doc("confidence at which the margin is capped (Eq. 12)")] = 50.0

    @property
    def objective(self) -> Margin:
        return Margin(self.kappa)
