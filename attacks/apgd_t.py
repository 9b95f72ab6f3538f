"""The second part of AutoAttack, alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.attacks._autoattack import FEWEST, Package
from harness.plugin.attack import AttackKind


@dataclass(frozen=True, kw_only=True)
class APGDT(Package):
    """Targeted APGD on the difference-of-logits ratio, 9 targets (Croce and Hein, ICML 2020, arXiv:2003.01690).

    Runs as in AutoAttack's standard version, on every example that is classified rightly; it needs four classes.
    Departs: with fewer than ten classes there are as many targets as other classes.
    """

    kind: ClassVar[AttackKind] = "white-box"
    parts: ClassVar[tuple[str, ...]] = ("apgd-t",)
    fewest_classes: ClassVar[int] = FEWEST
    with_fewer_classes: ClassVar[tuple[str, ...]] = ("apgd-ce",)
