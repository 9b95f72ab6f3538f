"""The early-stopped search of FAT, FAT-TRADES, and GAIR-FAT."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from typing_extensions import Doc

from harness.plugin.adversary import Objective, Variant
from harness.plugin.method import Method, Step
from harness.plugin.search import Searched, SearchRange


@dataclass(frozen=True, kw_only=True)
class EarlyStopped(Method, ABC):
    """Base of the methods whose variants stop some steps after they are misclassified; a subclass gives ``tau``."""

    bibtex = """
@inproceedings{zhang2020attacks,
  author    = {Jingfeng Zhang and Xilie Xu and Bo Han and Gang Niu and Lizhen Cui and Masashi Sugiyama
               and Mohan Kankanhalli},
  title     = {Attacks Which Do Not Kill Training Make Adversarial Learning Stronger},
  booktitle = {International Conference on Machine Learning},
  year      = {2020},
  eprint    = {2002.11242},
  archivePrefix = {arXiv},
}
"""

    rises: ClassVar[tuple[float, ...]]
    """The fractions of the training at which tau rises, as in the released code."""

    # With tau at the number of steps, ten in most protocols, no search stops.
    search: ClassVar[Mapping[str, Searched | None]] = {"tau": SearchRange(0, 10, whole=True)}

    tau: int  # a method gives it with its own default
    grows: Annotated[bool, Doc("tau rises from 0 to its value, at the epochs of the released code; false: no rise")] = (
        True
    )

    def tau_at(self, progress: float) -> int:
        """Tau at a fraction of the training. It rises in equal parts, each rounded down."""
        passed = sum(progress >= at for at in self.rises)
        return self.tau * passed // len(self.rises) if self.grows else self.tau

    def stopped(self, step: Step, objective: Objective) -> Variant:
        """The variant of the early-stopped search. Logs tau."""
        tau = self.tau_at(step.progress)
        step.log("tau", torch.full((), float(tau), device=step.y.device))
        return step.perturb(objective, stop_after=tau)
