"""The fourth part of AutoAttack, alone; it uses no gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.attacks._autoattack import Package
from harness.plugin.attack import AttackKind


@dataclass(frozen=True, kw_only=True)
class Square(Package):
    """Square, random search by 5000 queries, without gradients (Andriushchenko et al., ECCV 2020, arXiv:1912.00049).

    Runs as in AutoAttack's standard version, on every example that is classified rightly. If it breaks examples that
    the gradient attacks did not, the gradients mislead those. Departs: nothing.
    """

    kind: ClassVar[AttackKind] = "black-box"
    parts: ClassVar[tuple[str, ...]] = ("square",)
