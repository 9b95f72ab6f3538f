"""Check of the gradient that white-box attacks follow."""

from __future__ import annotations

from harness.adversary import CrossEntropy, Margin
from harness.rigour.evidence import lower_bound, points
from harness.rigour.finding import Outcome, judged, not_applicable
from harness.rigour.subject import Subject

TINY = 1e-12
SHARE = 0.01


def zero_gradient(subject: Subject) -> Outcome:
    """Attacks get a gradient on every rightly classified image.

    An image counts if the largest entry of its gradient is below 1e-12, or NaN; of the cross-entropy, and of the
    logit margin, which does not saturate. The value is the larger share.
    Source: Pintor et al. 2022, arXiv:2106.09947 (no gradient indicates a failed attack); AutoAttack warns of one such
        point. 1 % and 1e-12 are this project's (35 networks trained here: none).
    """
    if subject.nothing_right is not None:
        return not_applicable(subject.nothing_right)
    chosen = subject.right
    entropy, margin = (~(g[chosen] >= TINY) for g in subject.gradients(CrossEntropy(), Margin()))  # not: NaN counts
    of = int(chosen.sum())
    counts = {"cross_entropy": int(entropy.sum()), "margin": int(margin.sum())}
    shares = {name: count / of for name, count in counts.items()}
    saturated = lower_bound(counts["margin"], of) <= SHARE
    return judged(
        lower_bound(max(counts.values()), of) > SHARE,
        f"no gradient on {points(shares['cross_entropy'])} % (cross-entropy), {points(shares['margin'])} % (margin)"
        f" of {of} images",
        "the cross-entropy saturates, so that PGD on it is blind" if saturated else "gradients are masked",
        max(shares.values()),
        **shares,
        images=of,
    )
