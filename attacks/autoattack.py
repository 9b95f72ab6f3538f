"""AutoAttack, by its authors' own package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.attacks._autoattack import FEWEST, PARTS, Package
from harness.plugin.attack import AttackKind


@dataclass(frozen=True, kw_only=True)
class AutoAttack(Package):
    """The standard ensemble: APGD-CE, targeted APGD and FAB, Square (Croce and Hein, ICML 2020, arXiv:2003.01690).

    Each part attacks the examples that the parts before it did not break. Departs: with fewer than ten classes the
    targeted attacks have as many targets as there are other classes.
    """

    kind: ClassVar[AttackKind] = "ensemble"
    parts: ClassVar[tuple[str, ...]] = tuple(PARTS)
    fewest_classes: ClassVar[int] = FEWEST
    with_fewer_classes: ClassVar[tuple[str, ...]] = tuple(part for part in PARTS if part != "apgd-t")
