"""Checks of PGD against itself: more steps, another start, and the loss along its way."""

from __future__ import annotations

import torch

from harness.rigour.budgets import RESTARTS, longer
from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.evidence import excess, lower_bound, points
from harness.rigour.subject import Subject
from harness.rigour.trajectory import Trajectory

STEPS_RISE = 0.005
UNCONVERGED, LEAST = 0.10, 0.02
STILL_RISING = 0.10
FALLEN = 0.10
PART = 0.10  # share of an image's whole rise that counts as rising, or as falling


def more_steps_help(subject: Subject) -> Outcome:
    """More steps of the same attack from the same start do not help the network.

    The value is the rise in accuracy; flagged beyond 0.5 points and beyond chance.
    Source: Carlini et al. 2019, arXiv:1902.06705 (more iterations make an attack stronger); 0.5 is this project's (35
        networks trained here: -0.6 to 0.3).
    """
    short, long = subject.threat, longer(subject.threat)
    table = excess(subject.path(long).last, subject.path(short).last)
    return judged(
        table.beyond(STEPS_RISE),
        f"accuracy changes by {100 * table.share:+.1f} points from PGD-{short.steps} to PGD-{long.steps}",
        "the attack loses what it had found; judge its worst iterate",
        table.share,
        right_after_more=table.more,
        wrong_after_more=table.less,
    )


def not_converged(subject: Subject) -> Outcome:
    """A longer PGD with restarts breaks few of the images that PGD leaves.

    Longer: 2.5 times the steps, 2 starts, every iterate judged. The value is the share of the images that PGD leaves;
    flagged beyond 10 %, beyond chance, and where it is at least 2 points of all images.
    Source: Carlini et al. 2019, arXiv:1902.06705 (an attack must have converged); 10 % is this project's, since plain
        PGD is judged by its last iterate alone (35 networks trained here: 2.0 to 8.5 %).
    """
    left, long = subject.path(subject.threat).last, longer(subject.threat)
    broken = left.clone()
    for restart in range(RESTARTS):
        broken &= subject.path(long, restart).right.all(0)
    lost, of = int((left & ~broken).sum()), int(left.sum())
    if of == 0:
        return not_applicable(f"PGD-{subject.threat.steps} leaves nothing to break")
    return judged(
        lower_bound(lost, of) > UNCONVERGED and lost >= LEAST * subject.n,
        f"PGD-{long.steps} with {RESTARTS} starts breaks {points(lost / of)} % of the {of} images that"
        f" PGD-{subject.threat.steps} leaves",
        "the figure under PGD is of an attack that was stopped too early",
        lost / of,
        broken=lost,
        left=of,
    )


def loss_rising(subject: Subject) -> Outcome:
    """The loss has stopped rising when PGD ends.

    An image counts if the mean loss of the last quarter of the steps exceeds that of the quarter before by more than
    10 % of the whole rise from the start to the best.
    Source: Pintor et al. 2022, arXiv:2106.09947 (an optimisation that has not converged indicates a failed attack);
        10 % of the images is this project's (35 networks trained here: to 7.5 %).
    """
    path, part = subject.path(subject.threat), max(1, subject.threat.steps // 4)
    gained = path.losses[-part:].mean(0) - path.losses[-2 * part : -part].mean(0)
    return _counted(
        subject,
        int((gained > PART * _rise(path)).sum()),
        STILL_RISING,
        "the loss is still rising at PGD's end",
        "more steps, or longer ones, would break more",
    )


def loss_falls(subject: Subject) -> Outcome:
    """PGD's last iterate does not fall short of its best one.

    An image counts if the loss of the last iterate is below the best by more than 10 % of the whole rise.
    Source: as of ``loss_rising`` (35 networks trained here: to 3.6 %).
    """
    path = subject.path(subject.threat)
    short = path.losses.max(0).values - path.losses[-1]
    return _counted(
        subject,
        int((short > PART * _rise(path)).sum()),
        FALLEN,
        "PGD ends below the best loss that it had found",
        "its steps overshoot, or the loss is drawn anew in every pass; judge the worst iterate",
    )


def _rise(path: Trajectory) -> torch.Tensor:
    """``(n,)`` rise of the loss from the start to the best; infinite if it never rises, so the image never counts."""
    rise = path.losses.max(0).values - path.losses[0]
    return torch.where(rise > 0, rise, torch.inf)


def _counted(subject: Subject, count: int, threshold: float, seen: str, suggests: str) -> Outcome:
    share = count / subject.n
    flagged = lower_bound(count, subject.n) > threshold
    return judged(flagged, f"{seen} on {points(share)} % of the images", suggests, share, images=count)
