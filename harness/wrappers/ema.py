"""Exponential moving average of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval
from typing_extensions import Doc

from harness.plugin.settings import LATER
from harness.wrappers._average import Average, Statistics


@dataclass(frozen=True, kw_only=True)
class EMA(Average):
    """Publish an average of the weights over the training (Izmailov et al. 2018; Gowal et al. 2020, arXiv:2010.03593).

    After each update, average <- d average + (1 - d) weights, with d = min(decay, (1 + t) / (10 + t)) at update t, so
    that the initial weights do not dominate a short training. The training itself is unchanged.

    With ``start`` the average is the weights themselves before it, and t counts from there, as in the official code of
    Wang et al. 2023 (start 0.025, decay 0.995; there t begins at 0). With ``ramp=false`` d is ``decay`` at once, and
    the average begins as the weights of its first update, as in FastAT Benchmark (decay 0.9995).

    Departs: batch-norm's statistics are the model's own, which are moving averages already. With
    ``statistics=averaged`` they are averaged like the weights, as FastAT Benchmark does.
    """

    decay: Annotated[float, Interval(ge=0, lt=1), Doc("the largest share of the average that an update keeps")] = 0.999
    start: Annotated[float, LATER, Interval(ge=0, lt=1), Doc("fraction of the training before the average begins")] = (
        0.0
    )
    ramp: Annotated[bool, LATER, Doc("whether the share that an update keeps rises to decay, from 2/11")] = True
    statistics: Annotated[
        Statistics, LATER, Doc("batch-norm's statistics: the model's own, or averaged like the weights")
    ] = "own"

    def _kept(self, t: int) -> float:
        if self.ramp:
            return min(self.decay, (1 + t) / (10 + t))
        return self.decay if t > 1 else 0.0
