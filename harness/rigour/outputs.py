"""Checks of what the network gives an attack: finite logits, which no bounded function has squeezed, and a gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.plugin.adversary import CrossEntropy, Margin, Objective
from harness.rigour.check import Outcome, judged, points
from harness.rigour.subject import Subject
from harness.statistics.exact_bounds import lower_bound

PROBABILITIES = 1e-5
HALF = 0.5  # a sigmoid's highest output exceeds it, if it tells classes apart
NEAR = 0.01  # of the typical distance from an image's median output to its highest
FLAT = 0.05  # of that distance: how much the image's slope may change its highest output within the ball
AT_BOUND = 0.10  # of the images
NORMALISED = 1e-3  # the largest logsumexp of log-probabilities, which is 0 but for rounding
TINY = 1e-12
WITHOUT_GRADIENT = 0.01  # of the images
_FADES = "the gradient fades there, and attacks follow it; give the values before that function"


class Highest(Objective):
    """An image's highest output."""

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return logits.amax(1)


def not_logits(subject: Subject) -> Outcome:
    """The outputs are finite logits, one for each class: neither probabilities nor values of a bounded function.

    The value is the share of images with an output that is not finite, at the image or on PGD's way.

    Flagged, too: rows that are not negative and have the same sum, like a multiple of a softmax; outputs that all lie
    in [0, 1] and exceed 1/2, like a sigmoid's; and a ceiling, like that of tanh or a clamp, on more than 10 % of the
    images. An image is at the ceiling if its highest output is within 1 % of the highest of all, and its slope changes
    it by less than 5 % within the ball; both are shares of the typical distance from an image's median output to its
    highest. Logarithms of a softmax have a ceiling at 0, but the same cross-entropy as the logits: the check looks for
    no ceiling there, nor in constant outputs.
    Source: AutoAttack's check of the output range: in [0, 1] and summing to 1, each to 1e-5. The rest is this
        project's: no image at a ceiling with the logits of 17 networks trained here, 25 % and more with tanh of logits
        that exceed 4. The tanh of a less certain network looks like logits, and is not flagged.
    """
    if subject.misshapen is not None:
        return judged(True, subject.misshapen, "it is not a classifier of these classes")
    logits = subject.logits
    broken = 1.0 - float(logits.isfinite().all(1).float().mean())
    attacked = 0.0
    if subject.unattacked is None:
        attacked = 1.0 - float(subject.path(subject.threat).finite.all(0).float().mean())
    if max(broken, attacked) > 0:
        seen = f"{points(broken)} % of the images have outputs that are not finite, {points(attacked)} % under PGD"
        suggests = "they count as misclassified, and attacks near them follow no gradient"
        return judged(True, seen, suggests, max(broken, attacked), probabilities=False)
    total = _one_sum(logits)
    if total is not None:
        unit = abs(total - 1) < PROBABILITIES * logits.shape[1]
        seen = f"the outputs lie in [0, {total:.4g}] and each image's sum to {total:.4g}"
        seen = "the outputs lie in [0, 1] and sum to one" if unit else seen
        suggests = "they are probabilities, whose cross-entropy is flat; give the logits before softmax"
        return judged(True, seen, suggests, broken, probabilities=True)
    varying = logits[:, (logits != logits[:1]).any(0)]  # without masked classes
    if bool(((varying >= 0) & (varying <= 1)).all()) and bool((varying > HALF).any()):
        seen = "the outputs all lie in [0, 1], as a sigmoid's do"
        return judged(True, seen, f"if one made them, {_FADES}", broken, probabilities=False)
    held = _at_ceiling(subject)
    flagged = lower_bound(held, subject.n) > AT_BOUND
    seen = "the outputs are finite logits"
    if flagged:
        seen = f"{points(held / subject.n)} % of the images have their highest output at one ceiling, and flat"
    suggests = f"where a function such as tanh, a sigmoid, or a clamp holds them, {_FADES}"
    return judged(flagged, seen, suggests, broken, probabilities=False, at_ceiling=held)


def zero_gradient(subject: Subject) -> Outcome:
    """Attacks get a gradient on every rightly classified image.

    An image counts if the largest entry of its gradient is NaN or below 1e-12. Three gradients are looked at: of the
    cross-entropy; of the logit margin, which does not saturate; and of the cross-entropy at each iterate of PGD that is
    still right. The value is the largest of the three shares.
    Source: Pintor et al. 2022, arXiv:2106.09947 (no gradient indicates a failed attack); AutoAttack warns of one such
        point. 1 % and 1e-12 are this project's (35 networks trained here: none).
    """
    entropy, margin = (~(g.abs().amax(1) >= TINY) for g in subject.gradients(CrossEntropy(), Margin()))  # NaN counts
    attacked = torch.zeros_like(subject.right)
    if subject.unattacked is None:
        path = subject.path(subject.threat)
        attacked = (path.right[:-1] & ~(path.slopes >= TINY)).any(0)
    of = int(subject.right.sum())
    without = {"cross_entropy": entropy, "margin": margin, "attacked": attacked}
    counts = {name: int((subject.right & images).sum()) for name, images in without.items()}
    shares = {name: count / of for name, count in counts.items()}
    beyond = {name for name, count in counts.items() if lower_bound(count, of) > WITHOUT_GRADIENT}
    suggests = "gradients are masked"
    if beyond == {"attacked"}:
        suggests = "near the images gradients are masked, or no numbers, so that PGD goes astray"
    elif "margin" not in beyond:
        suggests = "the cross-entropy saturates, so that PGD on it is blind"
    on = {name: f"{points(share)} %" for name, share in shares.items()}
    clean = f"no gradient on {on['cross_entropy']} (cross-entropy), {on['margin']} (margin) of {of} images"
    seen = f"{clean}, and under attack on {on['attacked']}"
    return judged(bool(beyond), seen, suggests, max(shares.values()), **shares, images=of)


def _one_sum(logits: Tensor) -> float | None:
    """The sum of each image's outputs, if none is negative and all sums agree; None for constant outputs, unless 1."""
    sums = logits.double().sum(1)
    total = float(sums.median())
    slack = PROBABILITIES * total * logits.shape[1]
    if total <= 0 or bool((logits < -PROBABILITIES * total).any()) or bool(((sums - total).abs() > slack).any()):
        return None
    return total if _varies(logits) or abs(total - 1) <= slack else None


def _varies(logits: Tensor) -> bool:
    return bool((logits != logits[:1]).any())


def _at_ceiling(subject: Subject) -> int:
    """How many right images have their highest output near the highest of all, and hardly moving in the ball."""
    logits = subject.logits.double()
    highest = logits.amax(1)
    if not _varies(logits) or bool((logits.logsumexp(1).abs() < NORMALISED).all()):
        return 0
    scale = (highest - logits.median(1).values).median()  # a class masked with -1e9 must not widen it
    (gradient,) = subject.gradients(Highest())
    flat = ~(subject.threat.epsilon * subject.threat.ball(subject.x).slope(gradient) > FLAT * scale)
    return int((subject.right & flat & (highest.max() - highest <= NEAR * scale)).sum())
