"""The threat: the ball that an adversary has, and how it searches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge
from typing_extensions import Doc

from harness.settings import Epsilon, Settings

Start = Literal["uniform", "gaussian", "none"]


@dataclass(frozen=True, kw_only=True)
class Threat(Settings):
    """A budget, of the training or of the evaluation. Lengths are on the [0, 1] pixel scale."""

    epsilon: Epsilon
    steps: Annotated[int, Ge(1), Doc("number of gradient steps K")]
    step_size: Annotated[float, Ge(0), Doc("length of a step, on the [0, 1] pixel scale")]
    start: Annotated[Start, Doc("the first iterate: uniform in the ball, 0.001 N(0, 1), or the image itself")]
