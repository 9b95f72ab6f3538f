"""The budgets of the attacks that the checks make, and what the attacks cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from harness.plugin.attack import Passes
from harness.plugin.ball import ball_of
from harness.plugin.threat import Threat

EXAMPLES = 500  # images at most: a block, enough to tell 1 % from 3 %
FIRST, LARGE = 32, 1_000_000  # images and parameters: see ``holds_nothing`` of ``Subject``
RESTARTS = 2
LONGER = 2.5  # times the steps of the stored figure's attack
SWEEP_STEPS, SWEEP_STEP = 20, 0.25  # of the radius: an attack may travel five radii, whatever the protocol says
NOISE_DRAWS = 10

Way = tuple[float, float, str, int]
"""Radius, length of a step, start, and restart of an attack: two attacks that share these share their first steps."""


def longer(threat: Threat) -> Threat:
    """The stored figure's attack with more steps of the same length."""
    return replace(threat, steps=math.ceil(LONGER * threat.steps))


def one_step(threat: Threat) -> Threat:
    """FGSM: one step of the whole radius from the image (Goodfellow et al. 2015, arXiv:1412.6572)."""
    return replace(threat, steps=1, step_size=threat.epsilon, start="none")


def radii(threat: Threat, shape: Sequence[int]) -> tuple[float, ...]:
    """A quarter of the radius and its doubles up to 16 times, then the grey radius (or the radius, if that is more).

    Within the grey radius every image of this shape can be turned into the same grey image, so no classifier can be
    right on more than one class. It does not depend on the data; in L-infinity it is 1/2. For 8/255
    there the radii are 2, 4, 8, 16, 32, 64 and 127.5 of 255.
    """
    end = max(ball_of(threat.norm).grey(shape), threat.epsilon)
    doubles = (threat.epsilon * 2.0**k for k in range(-2, 5))  # all 0 for a radius of 0
    return (*(r for r in doubles if 0 < r < end), end)


def at_radius(threat: Threat, radius: float) -> Threat:
    """The sweep's attack at one radius, in a ball of the same norm."""
    return replace(threat, epsilon=radius, steps=SWEEP_STEPS, step_size=SWEEP_STEP * radius, start="uniform")


def way(threat: Threat, restart: int = 0) -> Way:
    """The way of an attack under this budget."""
    return threat.epsilon, threat.step_size, threat.start, restart


def planned(threat: Threat, shape: Sequence[int]) -> dict[Way, Threat]:
    """The attacks that the checks need. Of each way only the longest: a shorter attack is its beginning."""
    plan: dict[Way, Threat] = {}
    sweep = [at_radius(threat, radius) for radius in radii(threat, shape)]
    runs = [(longer(threat), restart) for restart in range(RESTARTS)] + [(t, 0) for t in (one_step(threat), *sweep)]
    for budget, restart in runs if threat.epsilon > 0 else [(t, 0) for t in sweep]:
        known = plan.get(way(budget, restart))
        if known is None or known.steps < budget.steps:
            plan[way(budget, restart)] = budget
    return plan


def passes(threat: Threat, shape: Sequence[int]) -> Passes:
    """The most passes that all checks of a model take for one image of this shape."""
    looks = Passes(3, 0) + Passes(1, 2) + Passes(1, 1)  # the image thrice; gradients of two objectives, and of one
    looks += Passes(4, 3) + Passes(1, 0)  # the image perturbed, thrice with gradients; the image at last
    noise = Passes(NOISE_DRAWS if threat.epsilon > 0 else 0, 0)
    attacks = [Passes(budget.steps + 1, budget.steps) for budget in planned(threat, shape).values()]
    return sum(attacks, looks + noise)
