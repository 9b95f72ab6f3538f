"""Projected gradient descent on the cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

from harness.attacks._ascent import Ascent
from harness.plugin.adversary import CrossEntropy


@dataclass(frozen=True, kw_only=True)
class PGD(Ascent):
    """PGD on the cross-entropy (Madry et al., ICLR 2018, arXiv:1706.06083; Algorithm 2 of the LRAT paper).

    Departs: nothing. By default the last iterate of one start is judged, as in the paper; ``keep=worst`` and
    ``restarts`` make a stronger attack.
    """

    @property
    def objective(self) -> CrossEntropy:
        return CrossEntropy()
