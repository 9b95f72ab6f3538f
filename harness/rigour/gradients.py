"""Check of the gradient that white-box attacks follow."""

from __future__ import annotations

from harness.plugin.adversary import CrossEntropy, Margin
from harness.rigour.check import Outcome, judged
from harness.rigour.evidence import lower_bound, points
from harness.rigour.subject import Subject

TINY = 1e-12
SHARE = 0.01


def zero_gradient(subject: Subject) -> Outcome:
    """Attacks get a gradient on every rightly classified image.

    An image counts if the largest entry of its gradient is NaN or below 1e-12. Three gradients are looked at: of the
    cross-entropy; of the logit margin, which does not saturate; and of the cross-entropy at each iterate of PGD that is
    still right. The value is the largest of the three shares.
    Source: Pintor et al. 2022, arXiv:2106.09947 (no gradient indicates a failed attack); AutoAttack warns of one such
        point. 1 % and 1e-12 are this project's (35 networks trained here: none).
    """
    chosen = subject.right
    entropy, margin = (
        ~(g[chosen].abs().amax(1) >= TINY)
        for g in subject.gradients(CrossEntropy(), Margin())  # written with ``not``, so that NaN counts
    )
    of = int(chosen.sum())
    counts = {"cross_entropy": int(entropy.sum()), "margin": int(margin.sum()), "attacked": _lost(subject)}
    shares = {name: count / of for name, count in counts.items()}
    beyond = {name for name, count in counts.items() if lower_bound(count, of) > SHARE}
    suggests = "gradients are masked"
    if beyond == {"attacked"}:
        suggests = "near the images gradients are masked, or no numbers, so that PGD goes astray"
    elif "margin" not in beyond:
        suggests = "the cross-entropy saturates, so that PGD on it is blind"
    return judged(
        bool(beyond),
        f"no gradient on {points(shares['cross_entropy'])} % (cross-entropy), {points(shares['margin'])} % (margin)"
        f" of {of} images, and under attack on {points(shares['attacked'])} %",
        suggests,
        max(shares.values()),
        **shares,
        images=of,
    )


def _lost(subject: Subject) -> int:
    """Right images for which PGD meets no gradient at an iterate that is still right."""
    if subject.unattacked is not None:
        return 0
    path = subject.path(subject.threat)
    return int((subject.right & (path.right[:-1] & ~(path.slopes >= TINY)).any(0)).sum())
