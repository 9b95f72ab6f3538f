"""Checks of the forward pass: one answer for one image, in evaluation mode."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.errors import listed
from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.subject import Subject

SAME = 1e-4
ROUNDINGS, ROUNDINGS_OF_SUMS = 8, 32  # of a logit: how far apart rounding may bring two equal passes, and sums
_ROUNDING = float(torch.finfo(torch.float32).eps)
_LEAST = float(torch.finfo(torch.float32).tiny)


def random_forward(subject: Subject) -> Outcome:
    """One image gets one answer: twice, in another order, and in other batches.

    The value is the largest difference of an image's logits between two passes, as a share of that image's margin, the
    first pass's highest logit minus its second highest, which decides. So a class masked with -1e9, another image's
    huge logits, or a number added to all logits hide nothing.

    What rounding explains does not count. Equal passes agree to the last bit on a CPU; elsewhere eight roundings of a
    logit are allowed. In other batches sums are rounded in another order, and a logit may be small beside what it was
    summed from. So there the largest of three is allowed: 32 roundings of the logit, 1e-4 of the image's median margin
    to another class, and 1e-4 of the median margin that nine in ten images exceed.
    Source: threshold 1e-4, as in AutoAttack's check of randomised defences, which compares normalised logits. What
        counts as rounding is this project's.
    """
    if not bool(subject.logits.isfinite().any()):
        return not_applicable("no output is a number")
    if subject.logits.ndim != 2 or subject.logits.shape[1] < 2:
        return not_applicable("its outputs are no logits")
    again, reordered = subject.second_look[0], subject.reordered
    if again.shape != subject.logits.shape or reordered.shape != subject.logits.shape:
        return not_applicable("its outputs are no logits")
    repeated = wavering(subject.logits, again, ROUNDINGS if subject.logits.device.type != "cpu" else 0)
    moved = wavering(subject.logits, reordered, ROUNDINGS_OF_SUMS, SAME * typical_margins(subject.logits))
    details = {"equal_passes": repeated, "other_batches": moved}
    if repeated > SAME:
        seen, suggests = (
            f"two equal passes differ by {repeated:.2g} of an image's margin",
            ("something is drawn at test time; attacks must average over it (EOT), and these do not"),
        )
    else:
        seen = f"logits agree to {max(repeated, moved):.1g} of the margin, over passes, orders, and batch sizes"
        suggests = "an image's answer depends on the other images of its batch"
        if moved > SAME:
            seen = f"in other batches logits differ by {moved:.2g} of an image's margin"
    return judged(max(repeated, moved) > SAME, seen, suggests, max(repeated, moved), **details)


def training_mode(subject: Subject) -> Outcome:
    """After .eval() all modules are in evaluation mode, and a pass leaves the buffers alone.

    Source: this project's: dropout and batch statistics at test time look like robustness. No number: any module.
    """
    training, changed = subject.first_look.training, subject.first_look.changed
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


def wavering(one: Tensor, other: Tensor, roundings: int, unseen: Tensor | None = None) -> float:
    """The largest difference as a share of its image's margin; 1 where an output is finite in one of the passes alone.

    Args:
        roundings: of a logit; up to that a difference does not count.
        unseen: ``(n,)`` a difference that does not count either.
    """
    finite = one.isfinite()
    if not torch.equal(finite, other.isfinite()):
        return 1.0
    first, second = one.double(), other.double()
    highest = torch.where(finite, first, -torch.inf).topk(2, 1).values
    margins = (highest[:, :1] - highest[:, 1:]).nan_to_num(0.0, 0.0, 0.0)  # none where one output alone is finite
    margins = torch.maximum(margins, _ROUNDING * highest[:, :1].abs())  # of a tie, one rounding
    floor = roundings * _ROUNDING * first.abs()
    if unseen is not None:
        floor = torch.maximum(floor, unseen[:, None])
    shares = (first - second).abs() / torch.maximum(margins, floor / SAME).clamp(min=_LEAST)
    return float(shares[finite].max()) if bool(finite.any()) else 0.0


def typical_margins(logits: Tensor) -> Tensor:
    """``(n,)`` an image's median margin to the other classes, or the tenth quantile of all images', if that is more."""
    ordered = logits.double().sort(1, descending=True).values
    medians = (ordered[:, :1] - ordered[:, 1:]).median(1).values.nan_to_num(0.0, 0.0, 0.0)  # of two the smaller one
    return medians.clamp(min=float(medians.quantile(0.1)))
