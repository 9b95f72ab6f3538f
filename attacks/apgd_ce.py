"""The first part of AutoAttack, alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.attacks._autoattack import Package
from harness.plugin.attack import AttackKind


@dataclass(frozen=True, kw_only=True)
class APGDCE(Package):
    """APGD on the cross-entropy, 100 steps from one random start (Croce and Hein, ICML 2020, arXiv:2003.01690).

    Runs as in AutoAttack's standard version, on every example that is classified rightly. Departs: nothing.
    """

    kind: ClassVar[AttackKind] = "white-box"
    parts: ClassVar[tuple[str, ...]] = ("apgd-ce",)
