"""Checks of the forward pass: one answer for one image, in evaluation mode."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.errors import listed
from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.subject import Subject

SAME = 1e-4
ROUNDINGS, ROUNDINGS_OF_SUMS = 8, 32  # of a logit: allowed between equal passes, and between orders of sums
_ROUNDING = float(torch.finfo(torch.float32).eps)
_LEAST = float(torch.finfo(torch.float32).tiny)


def random_forward(subject: Subject) -> Outcome:
    """One image gets one answer: twice, in another order, and in other batches.

    The value is the largest difference of an image's logits between two passes, as a share of the image's margin: the
    highest logit of the first pass minus the second highest. So a class masked with -1e9, huge logits of another image,
    or a number added to all logits cannot hide a difference.

    Differences that rounding explains do not count. On a CPU equal passes agree to the last bit; elsewhere eight
    roundings of a logit are allowed. In other batches sums are rounded in another order, and a logit may be small
    beside its terms. So the largest of three is allowed there: 32 roundings of the logit, 1e-4 of the image's median
    margin to another class, and 1e-4 of the median margin that nine in ten images exceed.
    Source: threshold 1e-4, as in AutoAttack's check of randomised defences, which compares normalised logits. What
        counts as rounding is this project's.
    """
    first, again = subject.first_looks.logits
    if not bool(first.isfinite().any()):
        return not_applicable("no output is a number")
    if first.ndim != 2 or first.shape[1] < 2 or {again.shape, subject.reordered.shape} != {first.shape}:
        return not_applicable("its outputs are no logits")
    repeated, moved = equal_passes_differ(first, again), other_passes_differ(first, subject.reordered)
    largest = max(repeated, moved)
    seen = f"logits agree to {largest:.1g} of the margin, over passes, orders, and batch sizes"
    suggests = "an image's answer depends on the other images of its batch"
    if repeated > SAME:
        seen = f"two equal passes differ by {repeated:.2g} of an image's margin"
        suggests = "something is drawn at test time; attacks must average over it (EOT), and these do not"
    elif moved > SAME:
        seen = f"in other batches logits differ by {moved:.2g} of an image's margin"
    return judged(largest > SAME, seen, suggests, largest, equal_passes=repeated, other_batches=moved)


def training_mode(subject: Subject) -> Outcome:
    """After .eval() all modules are in evaluation mode, and a pass leaves the buffers alone.

    Source: this project's: dropout and batch statistics at test time look like robustness. No number: any module.
    """
    training, changed = subject.first_looks.training, subject.first_looks.changed
    problems = []
    if training:
        problems.append(f"in training mode after .eval(): {listed([name or 'the whole network' for name in training])}")
    if changed:
        problems.append(f"changed by a pass: {listed(changed)}")
    return judged(
        bool(problems),
        "; ".join(problems) or "all modules are in evaluation mode, and a pass changes no buffer",
        "its answers depend on what it was asked before, or on chance",
        training=training,
        changed=changed,
    )


def equal_passes_differ(one: Tensor, other: Tensor) -> float:
    """The share of an image's margin by which two equal passes differ, beyond rounding. A CPU gets no allowance."""
    return _wavering(one, other, _ROUNDING * ROUNDINGS * one.double().abs() * (one.device.type != "cpu"))


def other_passes_differ(one: Tensor, other: Tensor) -> float:
    """The same for passes that round sums in another order; ``random_forward`` says how much is allowed."""
    ordered = one.double().sort(1, descending=True).values
    medians = (ordered[:, :1] - ordered[:, 1:]).median(1).values.nan_to_num(0.0, 0.0, 0.0)  # the smaller of two
    typical = medians.clamp(min=float(medians.quantile(0.1)))  # ``(n,)``
    return _wavering(
        one, other, torch.maximum(_ROUNDING * ROUNDINGS_OF_SUMS * one.double().abs(), SAME * typical[:, None])
    )


def _wavering(one: Tensor, other: Tensor, floor: Tensor) -> float:
    """The largest difference as a share of its image's margin; 1 if an output is finite in only one of the passes.

    Args:
        floor: ``(n, classes)`` differences to allow.
    """
    finite = one.isfinite()
    if not torch.equal(finite, other.isfinite()):
        return 1.0
    first, second = one.double(), other.double()
    highest = torch.where(finite, first, -torch.inf).topk(2, 1).values
    margins = (highest[:, :1] - highest[:, 1:]).nan_to_num(0.0, 0.0, 0.0)  # 0 if only one output is finite
    margins = torch.maximum(margins, _ROUNDING * highest[:, :1].abs())  # a tie counts as one rounding
    shares = (first - second).abs() / torch.maximum(margins, floor / SAME).clamp(min=_LEAST)
    return float(shares[finite].max()) if bool(finite.any()) else 0.0
