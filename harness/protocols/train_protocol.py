"""The training part of a protocol: how every network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval
from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.ball import LINF, Start, ball_of
from harness.plugin.settings import LATER
from harness.plugin.threat import Threat
from harness.protocols.images_protocol import ImagesProtocol, generated_in
from harness.runtime.precision import Precision

Fraction = Annotated[float, Interval(gt=0, le=1)]
_BelowOne = Annotated[float, Interval(ge=0, lt=1)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
Schedule = Literal["steps", "one-cycle", "cosine", "cosine-cycle"]
RISE = 2 / 5  # of a training, in which a cycle's learning rate rises, unless the protocol says otherwise


@dataclass(frozen=True, kw_only=True)
class TrainProtocol(ImagesProtocol):
    """How every network is trained. Every field is part of a run's identity."""

    epochs: Annotated[int, Ge(1), Doc("passes over the training images")]
    batch_size: Annotated[int, Ge(2), Doc("images a step; batch-norm needs two")]
    lr: Annotated[Positive, Doc("initial learning rate of SGD; of a cycle the highest")]
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
        Doc(
            "steps: the learning rate drops at lr_drops; one-cycle: it rises to lr in lr_rise of the training, then"
            " falls to 0, linearly; cosine: it falls to 0 along a cosine; cosine-cycle: torch's OneCycleLR, from lr/25"
            " to lr and down to lr/250,000 along cosines, at each epoch"
        ),
    ] = "steps"
    lr_rise: Annotated[
        float, LATER, Interval(gt=0, lt=1), Doc("fraction of the training in which the learning rate of a cycle rises")
    ] = RISE
    lr_warmup: Annotated[
        _BelowOne, LATER, Doc("fraction of the training in which a factor of the learning rate rises from 0 to 1")
    ] = 0.0
    momentum_low: Annotated[
        _BelowOne | None,
        LATER,
        Doc("momentum at the highest learning rate of cosine-cycle, where it falls to; none: it stays"),
    ] = None
    nesterov: Annotated[bool, LATER, Doc("whether the momentum is Nesterov's")] = False
    clip_norm: Annotated[
        Positive | None, LATER, Doc("largest 2-norm of an update's gradient, all parameters together; none: any")
    ] = None
    epsilon_warmup: Annotated[
        float,
        LATER,
        Interval(ge=0, le=1),
        Doc("fraction of the epochs in which the training attack's radius rises to epsilon, epoch by epoch"),
    ] = 0.0

    def check(self) -> None:
        """Refuse what has no effect: two names for one training would be two identities."""
        super().check()
        if self.extra and generated_in(self.batch_size, self.extra_fraction) in (0, self.batch_size):
            raise SettingError(
                f"extra_fraction={self.extra_fraction:g} is refused with batch_size={self.batch_size}: a batch would"
                " have no generated image, or no other"
            )
        ball_of(self.norm)
        if self.schedule != "steps" and self.lr_drops:
            raise SettingError(
                f"schedule={self.schedule} is refused together with lr_drops: its learning rate does not drop; "
                "add --set train.lr_drops= (to nothing)"
            )
        if self.lr_rise != RISE and not self.schedule.endswith("cycle"):
            raise SettingError(
                f"lr_rise={self.lr_rise:g} is refused with schedule={self.schedule}: the learning rate of one-cycle"
                " and cosine-cycle alone rises in this fraction; lr_warmup goes with any schedule"
            )
        if self.momentum_low is not None and not (
            self.schedule == "cosine-cycle" and self.momentum_low < self.momentum
        ):
            raise SettingError(
                f"momentum_low={self.momentum_low:g} is refused: it must be less than momentum={self.momentum:g}, and"
                f" it goes with schedule=cosine-cycle alone (here {self.schedule})"
            )
        if self.nesterov and not (self.momentum and self.momentum_low != 0):
            raise SettingError("nesterov=true is refused with a momentum of 0: Nesterov's step needs one")
        if 0 < self.epsilon_warmup * self.epochs <= 1:
            raise SettingError(
                f"epsilon_warmup={self.epsilon_warmup:g} is refused with {self.epochs} epochs: the radius changes after"
                " an epoch, and would be whole in the first; give it more epochs, or a larger fraction"
            )

    def refuse_drops_out_of_order(self) -> None:
        """Refuse ``lr_drops`` that are not in their order, in what a user writes: one training would have two names.

        No part of ``check``: a run that is stored under such a name keeps it.
        """
        if list(self.lr_drops) != sorted(self.lr_drops):
            given, ordered = (
                ",".join(f"{drop:g}" for drop in drops) for drops in (self.lr_drops, sorted(self.lr_drops))
            )
            raise SettingError(f"lr_drops={given} is refused: the fractions must be in their order; write {ordered}")

    def threat(self, epsilon: float) -> Threat:
        """The training attack's budget in a ball of this radius."""
        length = epsilon * self.relative_step
        return Threat(epsilon=epsilon, steps=self.steps, step_size=length, start=self.start, norm=self.norm)

    def validation_threat(self, epsilon: float) -> Threat:
        """The budget of the attack on the images held out: the training's ball, and steps of 5/2 epsilon / K.

        Its strength does not follow the training attack's: a training with one step must not be chosen by one step.
        Source: the rule 2.5 epsilon / K of Madry et al. 2018; with ten steps in epsilon = 8/255 it gives the 2/255 of
        Rice et al. 2020.
        """
        length, steps = 2.5 * epsilon / self.validation_steps, self.validation_steps
        return Threat(epsilon=epsilon, steps=steps, step_size=length, start="uniform", norm=self.norm)
