"""Check that an answer depends on the image alone: not on chance, on other images, or on what was asked before."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from harness.rigour.check import Outcome, judged
from harness.rigour.evidence import lower_bound, points
from harness.rigour.forward import SAME, equal_passes_differ, other_passes_differ, random_forward
from harness.rigour.subject import Subject

ELSEWHERE = 0.01  # of the images, where passes are not repeatable to the last bit: a gradient may jump at a kink
_EOT = "attacks must average over it (EOT), and these do not"


def one_answer(subject: Subject) -> Outcome:
    """One image gets one answer, and one gradient: again, in other batches, under attack, and after it.

    The check has three parts, and its value is the largest difference of logits over all passes. First it asks
    ``random_forward`` about the images themselves. Then it takes uniform draws from the ball, since a model may draw,
    or look up answers that it kept, under attack alone: two equal passes with gradients, one pass in reversed order and
    other batches, and one without gradients. Gradients differ where an entry moves by more than 1e-4 of the image's
    largest; on a CPU one such image is enough, elsewhere it takes more than 1 %, beyond chance. At last, after all the
    attacks of the checks, it asks about the images themselves again.
    Source: as ``random_forward``; stochastic gradients: Athalye et al. 2018, arXiv:1802.00420.
    """
    found = random_forward(subject)
    for part in (_attacked, _afterwards):
        if found.status != "passed" or subject.misshapen is not None:
            return found
        later = part(subject)
        value = max(found.value or 0.0, later.value or 0.0)
        found = replace(later, value=value, details=found.details | later.details)
    return found


def _attacked(subject: Subject) -> Outcome:
    looks = subject.looks
    first, second = looks.logits
    repeated = equal_passes_differ(first, second)
    moved, without = (other_passes_differ(first, other) for other in (looks.reordered, looks.without))
    drawn = int(_differ(*looks.gradients).sum())
    jumps = drawn > 0 if first.device.type == "cpu" else lower_bound(drawn, subject.n) > ELSEWHERE
    largest = max(repeated, moved, without)
    seen = f"logits agree to {largest:.1g} of the margin, over passes, orders, and batch sizes, also under attack"
    suggests = ""
    if repeated > SAME:
        seen = f"two equal passes over perturbed images differ by {repeated:.2g} of an image's margin"
        suggests = f"something is drawn under attack; {_EOT}"
    elif jumps:
        seen = f"two equal passes give other gradients of {points(drawn / subject.n)} % of the perturbed images"
        suggests = f"the gradient is drawn; {_EOT}"
    elif without > SAME:
        seen = f"with gradients, logits of perturbed images differ by {without:.2g} of the margin from those without"
        suggests = "it answers attacks otherwise than the pass that judges them, or from answers that it kept"
    elif moved > SAME:
        seen = f"in other batches logits of perturbed images differ by {moved:.2g} of the margin"
        suggests = "an image's answer depends on the other images of its batch, or on what was asked before"
    details = {"attacked_equal": repeated, "attacked_other_batches": moved, "without_gradients": without}
    return judged(largest > SAME or jumps, seen, suggests, largest, **details, gradients_drawn=drawn)


def _afterwards(subject: Subject) -> Outcome:
    subject.attack_wholly()
    worn = other_passes_differ(subject.logits, subject.forward(subject.x))
    return judged(
        worn > SAME,
        f"after the checks' attacks logits differ by {worn:.2g} of an image's margin from the first"
        if worn > SAME
        else "an image's answer is the same over passes, orders, and batch sizes, under attack, and after it",
        "an answer depends on what was asked before: it counts, keeps, or adapts, and attacks meet another model",
        worn,
        afterwards=worn,
    )


def _differ(one: Tensor, other: Tensor) -> Tensor:
    """``(n,)`` bool: whose gradients differ by more than a share of the largest entry; NaN is equal to NaN."""
    first, second = (gradient.nan_to_num(0.0, 0.0, 0.0) for gradient in (one, other))
    apart = (first - second).abs().amax(1) > SAME * first.abs().amax(1)
    return apart | (one.isfinite() != other.isfinite()).any(1)
