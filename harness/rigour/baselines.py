"""Checks of PGD against what it must beat: one step, and random noise."""

from __future__ import annotations

from harness.rigour.budgets import NOISE_DRAWS, one_step
from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.evidence import excess, points
from harness.rigour.subject import Subject

FGSM_MARGIN = 0.005
NOISE_RATIO = 0.5
NOISE_LEAST = 5  # images
OVERFITTED = 0.20


def fgsm_stronger(subject: Subject) -> Outcome:
    """One step does not break more than the iterated attack.

    The value is accuracy under PGD minus accuracy under FGSM; flagged beyond 0.5 points and beyond chance.
    Source: Carlini et al. 2019, arXiv:1902.06705 (compare iterated with one-step attacks); 0.5 is this project's
        (35 networks trained here: FGSM is weaker by 1.9 to 11.7 points).
    """
    one, many = subject.path(one_step(subject.threat)).last, subject.path(subject.threat).last
    table = excess(many, one)
    return judged(
        table.beyond(FGSM_MARGIN),
        f"right: {points(int(one.sum()) / subject.n)} % under FGSM, {points(int(many.sum()) / subject.n)} % under PGD",
        "steps lead astray what one step breaks; the loss surface misleads PGD",
        table.share,
        fgsm_alone=table.more,
        pgd_alone=table.less,
    )


def noise_as_strong(subject: Subject) -> Outcome:
    """PGD breaks far more images than uniform noise.

    The value is the ratio of the right images that the worst of ten draws breaks to those that PGD breaks. The check
    does not apply if both break fewer than five images.
    Source: Carlini et al. 2019, arXiv:1902.06705 (random noise as a baseline). The ratio is this project's (35
        networks trained here: 0.05 to 0.31). A drop by some points is no sign of a masked
        gradient: at a large radius sound networks show such a drop.
    """
    noise = int((subject.right & ~subject.under_noise).sum())
    pgd = int((subject.right & ~subject.path(subject.threat).last).sum())
    if max(noise, pgd) < NOISE_LEAST:
        return not_applicable(f"noise breaks {noise} images and PGD {pgd}: too few to compare")
    ratio = noise / max(pgd, 1)
    return judged(
        ratio > NOISE_RATIO,
        f"the worst of {NOISE_DRAWS} random draws breaks {noise} images, PGD {pgd}",
        "PGD does hardly better than chance, so its gradient says nothing",
        ratio,
        noise=noise,
        pgd=pgd,
    )


def catastrophic_overfitting(subject: Subject) -> Outcome:
    """An image that withstands one large step withstands several small ones.

    The value is accuracy under FGSM minus accuracy under PGD.
    Source: Wong et al. 2020, arXiv:2001.03994 (catastrophic overfitting of FGSM training); 20 points are
        this project's (35 networks trained here: 1.9 to 11.7).
    """
    table = excess(subject.path(one_step(subject.threat)).last, subject.path(subject.threat).last)
    return judged(
        table.beyond(OVERFITTED),
        f"right under FGSM but not under PGD: {points(table.share)} points",
        "it fits the one-step attack (catastrophic overfitting); figures of one-step attacks mean nothing here",
        table.share,
    )
