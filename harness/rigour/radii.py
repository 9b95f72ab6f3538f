"""Checks of robust accuracy against the radius."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor

from harness.rigour.budgets import at_radius, radii
from harness.rigour.check import Outcome, judged
from harness.rigour.evidence import excess, lower_bound, points
from harness.rigour.subject import Subject

LEFT = 0.01
RISE = 0.005


def robust_everywhere(subject: Subject) -> Outcome:
    """PGD breaks everything at the radius where every image can be turned into the same grey one (1/2 in L-infinity).

    Source: Carlini et al. 2019, arXiv:1902.06705 (with a large budget every attack must succeed); 1 % is allowed, for
        images on which PGD fails by chance (35 networks trained here: none).
    """
    sweep = _sweep(subject)
    end = max(sweep)
    left = int(sweep[end].sum())
    return judged(
        lower_bound(left, subject.n) > LEFT,
        f"{points(left / subject.n)} % are right under PGD at radius {end:g}",
        "the attack fails there, and so perhaps at the radius of the figures, or the answer ignores the image",
        left / subject.n,
        **_curve(sweep),
    )


def larger_ball_helps(subject: Subject) -> Outcome:
    """A larger radius never helps the network.

    The value is the largest rise of the curve, the clean accuracy its start. A rise is flagged beyond 0.5 points, and
    beyond chance: exact McNemar test on the same images, at 1 %.
    Source: Carlini et al. 2019, arXiv:1902.06705; 0.5 is this project's (35 networks trained here: no rise).
    """
    sweep = _sweep(subject)
    steps = list(sweep)
    rises = [excess(larger, smaller) for smaller, larger in pairwise(sweep.values())]
    worst = max(range(len(rises)), key=lambda i: (rises[i].beyond(RISE), rises[i].share))
    return judged(
        rises[worst].beyond(RISE),
        f"accuracy rises by at most {points(max(0.0, rises[worst].share))} points with the radius"
        f" (from {steps[worst]:g} to {steps[worst + 1]:g})",
        "the larger ball holds the smaller one, so the attack at the larger one fails",
        rises[worst].share,
        **_curve(sweep),
    )


def _sweep(subject: Subject) -> dict[float, Tensor]:
    """For each radius ``(n,)`` bool: right under the sweep's attack; at radius 0, on the clean images."""
    reach = radii(subject.threat, subject.x.shape[1:])
    return {0.0: subject.right} | {r: subject.path(at_radius(subject.threat, r)).last for r in reach}


def _curve(sweep: dict[float, Tensor]) -> dict[str, Any]:
    return {"radius": list(sweep), "accuracy": [int(right.sum()) / len(right) for right in sweep.values()]}
