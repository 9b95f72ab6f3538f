"""The global weights of GAIRAT and GAIR-TRADES, which depend on each instance's geometric distance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor
from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.method import Method, Step
from harness.plugin.search import Searched, SearchRange

Assignment = Literal["tanh", "sigmoid", "discrete"]


@dataclass(frozen=True, kw_only=True)
class GeometryWeighted(Method):
    """Base of GAIRAT and GAIR-TRADES: the weight function's settings, burn-in, and diagnostics."""

    bibtex = """
@inproceedings{zhang2021geometry,
  author    = {Jingfeng Zhang and Jianing Zhu and Gang Niu and Bo Han and Masashi Sugiyama and Mohan Kankanhalli},
  title     = {Geometry-aware Instance-reweighted Adversarial Training},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  eprint    = {2010.01736},
  archivePrefix = {arXiv},
}
"""

    # Within these bounds the argument of the weight function is 0 at some number of steps from 0 to K.
    search: ClassVar[Mapping[str, Searched | None]] = {"shift": SearchRange(-5, 5)}

    shift: Annotated[float, Doc("lambda of Eq. 6; greater is more uniform, inf gives every instance weight 1")] = -1.0
    assignment: Annotated[Assignment, Doc("the weight function: Eq. 6, or the official code's other two")] = "tanh"
    burn_in: Annotated[
        float, Interval(ge=0, le=1), Doc("fraction of the training with weights of 1 (the official ResNet setting)")
    ] = 0.3

    def check(self) -> None:
        if math.isnan(self.shift) or self.shift == -math.inf:
            raise SettingError(f"shift={self.shift} is refused: it must be a number or inf; the paper's is -1")

    def weights(self, step: Step, steps_to_flip: Tensor) -> Tensor:
        """The batch's weights: ``(batch,)``, mean 1, all 1 during burn-in. Logs and counts the weights."""
        raw = log_geometry_weights(steps_to_flip, step.threat.steps, self.shift, self.assignment)
        tell_distances(step, steps_to_flip)
        if step.progress < self.burn_in:
            return torch.ones_like(raw, dtype=torch.float32)
        weights = normalised(raw)
        step.log("weight_mean", raw.exp().mean())
        step.log("weight_min", raw.exp().amin())
        step.log("effective_sample_share", effective_sample_share(weights))
        step.count("weight", raw.exp(), low=0.0, high=1.0, bins=50)
        step.count("normalised_weight", weights, low=0.0, high=5.0, bins=50)
        return weights


def tell_distances(step: Step, steps_to_flip: Tensor) -> None:
    """Log the mean of a batch's geometric distances, ``(batch,)`` integers, and count them."""
    step.log("steps_to_flip", steps_to_flip.double().mean())
    most = step.threat.steps + 0.5
    step.count("steps_to_flip", steps_to_flip, low=-0.5, high=most, bins=step.threat.steps + 1)


def log_geometry_weights(steps_to_flip: Tensor, steps: int, shift: float, assignment: Assignment) -> Tensor:
    """Logarithm of each instance's weight before normalisation; instances that flip early weigh more.

    Args:
        steps_to_flip: ``(batch,)`` integers in [0, steps]: the geometric distance, kappa in the paper.
        steps: attack length K, at least 1.
        shift: the paper's lambda.
    Returns:
        ``(batch,)`` float64, at most 0, no gradient.
    Source: LRAT paper, Eq. 6: omega = (1 + tanh(lambda + 5 (1 - 2 kappa / K))) / 2; the official GAIRAT code
        (Zhang et al., ICLR 2021, arXiv:2010.01736) for ``sigmoid``, the logistic function of the same argument, and
        ``discrete``, (K + 1 - kappa) / (K + 1).
    Departs: (1 + tanh z) / 2 is computed as sigmoid(2 z): the sum cancels in float32 for robust instances. K / 2 is
        not rounded to an integer as in the official code.
    """
    distance = steps_to_flip.double()
    if assignment == "discrete":
        return torch.log((steps + 1 - distance) / (steps + 1))
    argument = shift + 5 * (1 - 2 * distance / steps)
    return F.logsigmoid(2 * argument if assignment == "tanh" else argument)


def normalised(log_weights: Tensor) -> Tensor:
    """The weights n omega / sum(omega), float32. Equal weights give exactly 1; the sum cannot underflow to 0."""
    weights = (log_weights - log_weights.amax()).exp()
    return (weights * (len(weights) / weights.sum())).float()


def effective_sample_share(weights: Tensor) -> Tensor:
    """Kish's effective sample size, divided by n: 1 for equal weights, 1/n if one instance has all (Kish 1965)."""
    return weights.sum().square() / (len(weights) * weights.square().sum())
