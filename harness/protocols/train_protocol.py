"""The training part of a protocol: how every network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval
from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.ball import LINF, Start, ball_of
from harness.plugin.settings import LATER, Settings
from harness.plugin.threat import Threat
from harness.runtime.precision import Precision

Fraction = Annotated[float, Interval(gt=0, le=1)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
Schedule = Literal["steps", "one-cycle"]


@dataclass(frozen=True, kw_only=True)
class TrainProtocol(Settings):
    """How every network is trained. Every field is part of a run's identity."""

    epochs: Annotated[int, Ge(1), Doc("passes over the training images")]
    batch_size: Annotated[int, Ge(2), Doc("images a step; batch-norm needs two")]
    lr: Annotated[Positive, Doc("initial learning rate of SGD; of one-cycle the highest")]
    lr_drops: Annotated[tuple[Fraction, ...], Doc("fractions of the epochs at which the learning rate drops")]
    lr_factor: Annotated[Positive, Doc("factor of the learning rate at a drop")]
    momentum: Annotated[float, Interval(ge=0, lt=1), Doc("momentum of SGD")]
    weight_decay: Annotated[float, Interval(ge=0, lt=math.inf), Doc("weight decay, on every parameter")]
    steps: Annotated[int, Interval(ge=1, le=10_000), Doc("steps K of the training attack")]
    relative_step: Annotated[Positive, Doc("step size of the training attack, as a fraction of epsilon")]
    start: Annotated[Start, Doc("start of the training attack")]
    early: Annotated[Fraction, Doc("fraction of the epochs after which the checkpoint `early` is taken")]
    precision: Annotated[Precision, Doc("arithmetic of the training; evaluations are always in float32")]
    norm: Annotated[str, LATER, Doc("norm of the training attack's ball")] = LINF
    schedule: Annotated[
        Schedule,
        LATER,
        Doc("steps: the learning rate drops at lr_drops; one-cycle: it rises for 2/5 of the training, then falls to 0"),
    ] = "steps"

    def check(self) -> None:
        ball_of(self.norm)
        if self.schedule == "one-cycle" and self.lr_drops:  # two names for one training would be two identities
            raise SettingError(
                "schedule=one-cycle is refused together with lr_drops: its learning rate does not drop; "
                "add --set train.lr_drops= (to nothing)"
            )

    def threat(self, epsilon: float) -> Threat:
        """The training attack's budget in a ball of this radius."""
        length = epsilon * self.relative_step
        return Threat(epsilon=epsilon, steps=self.steps, step_size=length, start=self.start, norm=self.norm)
