"""The third part of AutoAttack, alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.attacks._autoattack import Package
from harness.plugin.attack import AttackKind


@dataclass(frozen=True, kw_only=True)
class FABT(Package):
    """Targeted FAB, which seeks the nearest boundary, 9 targets (Croce and Hein, ICML 2020, arXiv:1907.02044).

    Runs as in AutoAttack's standard version, on every example that is classified rightly. It starts from the image, so
    that it draws no random numbers. Departs: with fewer than ten classes there are as many targets as other classes.
    """

    kind: ClassVar[AttackKind] = "white-box"
    parts: ClassVar[tuple[str, ...]] = ("fab-t",)
    seeded: ClassVar[bool] = False
