"""Attacks that ascend one objective in steps: which iterate they return, and how many restarts they make."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor, nn
from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.adversary import Objective, ascend, worst_of
from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.settings import LATER
from harness.plugin.threat import Threat


@dataclass(frozen=True, kw_only=True)
class Ascent(Attack):
    """Base of PGD and CW: projected gradient ascent of the objective that a subclass names.

    With several restarts an example is broken if the iterate that any restart returns is misclassified. The first
    restart equals the attack without restarts bit for bit, so restarts can only make the attack stronger.
    """

    kind: ClassVar[AttackKind] = "white-box"
    budget: ClassVar[tuple[str, ...]] = (*Attack.budget, "norm")

    keep: Annotated[Literal["last", "worst"], Doc("the iterate that is judged")] = "last"
    restarts: Annotated[
        int, LATER, Interval(ge=1, le=1000), Doc("random starts; an example is broken if one of them breaks it")
    ] = 1

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The objective to ascend."""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        self._refuse_equal_starts(threat)

        def once() -> Tensor:
            return ascend(model, x, y, [self.objective], threat, generator, keep=self.keep)[0].x

        return once() if self.restarts == 1 else worst_of(model, y, self.objective, self.restarts, once)

    def passes(self, threat: Threat) -> Passes:
        self._refuse_equal_starts(threat)
        judging = (self.keep == "worst") + (self.restarts > 1)  # to judge the last iterate; to choose a restart
        return Passes(threat.steps + judging, threat.steps).times(self.restarts)

    def _refuse_equal_starts(self, threat: Threat) -> None:
        """Called from ``passes``: a plan counts passes, so the mistake is reported before anything is trained."""
        if self.restarts > 1 and threat.start == "none":
            raise SettingError(
                f"restarts={self.restarts} is refused with start=none: every restart would be the same;"
                " choose start=uniform, or one restart"
            )
