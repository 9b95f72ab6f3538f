"""The budgets of the attacks that the checks make, and what the attacks cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from harness.plugin.attack import Passes
from harness.plugin.ball import ball_of
from harness.plugin.threat import Threat

EXAMPLES = 500  # images at most: a block, enough to tell 1 % from 3 %
FIRST, LARGE = 32, 1_000_000  # images and parameters: see ``images_attacked``
ENOUGH = 10  # images of the first ones that PGD must leave, so that all are attacked
RESTARTS = 2
SCALES = 10.0, 100.0  # the spread of an image's logits, to which they are scaled: see ``pgd.logit_scale``
LONGER = 2.5  # times the steps of the stored figure's attack
SWEEP_STEPS, SWEEP_STEP = 20, 0.25  # of the radius: an attack may travel five radii, whatever the protocol says
NOISE_DRAWS = 10

Way = tuple[float, float, str]
"""Radius, length of a step, and start of an attack: two attacks that share these share their first steps."""


def images_attacked(of: int, left: int) -> int:
    """How many images of a large network the checks attack, if PGD leaves ``left`` of the first FIRST images right.

    A tenth of the images for each image that is left, at least FIRST. Attacks of many parts cost as much as there are
    images that PGD leaves, so the checks never cost much more. No clock decides: a slow machine has the same findings.
    """
    return min(of, max(FIRST, of * left // ENOUGH))


def longer(threat: Threat) -> Threat:
    """The stored figure's attack with more steps of the same length."""
    return replace(threat, steps=math.ceil(LONGER * threat.steps))


def anew(threat: Threat) -> Threat:
    """The longer attack from another start, a random one: an attack that starts at the image starts in the ball."""
    return replace(longer(threat), start="uniform" if threat.start == "none" else threat.start)


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


def way(threat: Threat) -> Way:
    """The way of an attack under this budget."""
    return threat.epsilon, threat.step_size, threat.start


def planned(threat: Threat, shape: Sequence[int]) -> dict[Way, Threat]:
    """The attacks on all images that the checks need. Of each way only the longest: a shorter one is its beginning."""
    plan: dict[Way, Threat] = {}
    sweep = [at_radius(threat, radius) for radius in radii(threat, shape)]
    for budget in [longer(threat), one_step(threat), *sweep] if threat.epsilon > 0 else sweep:
        known = plan.get(way(budget))
        if known is None or known.steps < budget.steps:
            plan[way(budget)] = budget
    return plan


def planned_on_survivors(threat: Threat) -> dict[float | None, Threat]:
    """The attacks on the images that PGD leaves, from another start, by the spread that they scale logits to."""
    long = anew(threat)
    attacks: dict[float | None, Threat] = {None: long}
    attacks |= {spread: replace(long, steps=threat.steps) for spread in SCALES}
    return attacks if threat.epsilon > 0 else {}


def passes(threat: Threat, shape: Sequence[int]) -> Passes:
    """The most passes that all checks of a model take for one image of this shape: for one that PGD leaves right.

    For a large network the attack on the first FIRST images may come on top: see ``passes_at_most``.
    """
    looks = Passes(3, 0) + Passes(1, 2) + Passes(1, 1)  # the image thrice; gradients of two objectives, and of one
    looks += Passes(4, 3) + Passes(1, 0)  # the image perturbed, thrice with gradients; the image at last
    noise = Passes(NOISE_DRAWS if threat.epsilon > 0 else 0, 0)
    budgets = [*planned(threat, shape).values(), *planned_on_survivors(threat).values()]
    attacks = [Passes(budget.steps + 1, budget.steps) for budget in budgets]
    return sum(attacks, looks + noise)


def passes_at_most(threat: Threat, shape: Sequence[int], images: int) -> Passes:
    """The most passes that the checks of any model take: a large one's first images may be attacked by PGD twice."""
    steps = longer(threat).steps if threat.epsilon > 0 and images > FIRST else 0
    first = Passes(steps + 1, steps).times(FIRST) if steps else Passes()
    return passes(threat, shape).times(images) + first
