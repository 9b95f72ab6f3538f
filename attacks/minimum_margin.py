"""Projected gradient descent on the margin of one target class after another."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor, nn
from typing_extensions import Doc

from harness.plugin.adversary import Of, TargetMargin, climb, evaluation_mode, logit_margin
from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat


@dataclass(frozen=True, kw_only=True)
class MinimumMargin(Attack):
    """PGD on the margin of one target class after another (Gao et al., ICML 2022, arXiv:2206.07314).

    The targets of an image are its wrong classes, by their logits at the image itself, the highest first. For each
    target there is an ascent of Z_t - Z_y and one of p_t - p_y, each with a random start of its own, and each attacks
    the images that are still right (the paper's STARS). An image is broken if any iterate of any ascent is
    misclassified. If none is, the attack returns the image of the least margin of logits that it found.

    Source: besides the paper, Gowal et al. 2019, arXiv:1910.09338 (MultiTargeted: one ascent for each target), and
    Carlini and Wagner, S&P 2017, arXiv:1608.04644 (the difference of logits).
    Departs: the length of a step falls from epsilon to 0 as half a cosine. The paper's released code takes the steps of
    Auto-PGD, with momentum, and MultiTargeted those of Adam. Both ascend one difference, and not two. With few classes,
    there are as many targets as there are wrong classes.
    """

    kind: ClassVar[AttackKind] = "white-box"
    budget: ClassVar[tuple[str, ...]] = ("epsilon", "norm")

    targets: Annotated[int, Interval(ge=1, le=10_000), Doc("wrong classes to ascend to, the likeliest first")] = 9
    steps: Annotated[int, Interval(ge=1, le=10_000), Doc("gradient steps of each ascent")] = 20
    restarts: Annotated[int, Interval(ge=1, le=1000), Doc("how often all targets are gone through")] = 1
    of: Annotated[
        Literal["both", "logits", "probabilities"], Doc("what the margin is the difference of; both: an ascent of each")
    ] = "both"

    @property
    def _margins(self) -> tuple[Of, ...]:
        return ("logits", "probabilities") if self.of == "both" else (self.of,)

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        own = replace(threat, steps=self.steps, step_size=threat.epsilon, start="uniform")
        ball, worst = threat.ball(x), x.detach().clone()
        with evaluation_mode(model), torch.no_grad():
            logits = model(worst)
            nearest, right = logit_margin(logits, y), ~_broken(logits, y)
            wrong = logits.scatter(1, y[:, None], -torch.inf).sort(dim=1, descending=True, stable=True).indices
            ranks = range(min(self.targets, logits.shape[1] - 1))
            for _, rank, of in product(range(self.restarts), ranks, self._margins):
                # drawn for the whole batch, so that the start of an image does not depend on the other images
                start, left = ball.start("uniform", generator), right.nonzero().squeeze(1)
                if not len(left):
                    break
                objective, labels = TargetMargin(wrong[left, rank], of), y[left]
                (found,) = climb(
                    model, x[left], labels, [objective], own, start[left], keep="worst", lengths=_lengths(own)
                )
                logits = model(found.x)
                broken, margins = _broken(logits, labels), logit_margin(logits, labels)
                worse = broken | (margins > nearest[left])
                worst[left[worse]], nearest[left[worse]] = found.x[worse], margins[worse]
                right[left[broken]] = False
        return worst

    def passes(self, threat: Threat) -> Passes:
        """Passes for an image that stays right; an image that breaks early costs less."""
        one = Passes(self.steps + 2, self.steps)  # to judge the last iterate; to judge the worst one
        return Passes(1, 0) + one.times(self.restarts * self.targets * len(self._margins))


def _broken(logits: Tensor, y: Tensor) -> Tensor:
    """``(batch,)`` whether the evaluator would call the images wrong."""
    return (logits.argmax(1) != y) | ~logits.isfinite().all(1)


def _lengths(threat: Threat) -> list[float]:
    """The lengths of the steps: half a cosine, from the radius almost to 0."""
    return [threat.epsilon * (1 + math.cos(math.pi * k / threat.steps)) / 2 for k in range(threat.steps)]
