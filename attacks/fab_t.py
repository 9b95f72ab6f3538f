"""The third part of AutoAttack, alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.attacks._autoattack import Package
from harness.plugin.attack import AttackKind


@dataclass(frozen=True, kw_only=True)
class FABT(Package):
    """Targeted FAB, which seeks the nearest boundary, 9 targets (Croce and Hein, ICML 2020, arXiv:1907.02044).

    As AutoAttack's standard version runs it, on every example that is classified rightly: from the image itself, so
    that it draws nothing. Departs: with fewer than ten classes there are as many targets as other classes.
    """

    kind: ClassVar[AttackKind] = "white-box"
    parts: ClassVar[tuple[str, ...]] = ("fab-t",)
    seeded: ClassVar[bool] = False
