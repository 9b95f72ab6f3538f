"""Checks of the forward pass: one answer for one image, in evaluation mode, as logits."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rigour.evidence import points
from harness.rigour.finding import Outcome, judged, not_applicable
from harness.rigour.subject import Subject

SAME = 1e-4
PROBABILITIES = 1e-5
_SHOWN = 3  # names in a reason


def random_forward(subject: Subject) -> Outcome:
    """One image gets one answer: twice, in another order, and in other batches.

    The value is the largest difference between logits, as a share of the largest logit: a network whose logits are
    large differs by more, by rounding alone.
    Source: threshold 1e-4, as in AutoAttack's check of randomised defences, which compares normalised logits.
    """
    if not bool(subject.logits.isfinite().any()):
        return not_applicable("no output is a number")
    again, reordered = subject.looked_again
    if again.shape != subject.logits.shape or reordered.shape != subject.logits.shape:
        return not_applicable("its outputs are no logits")
    repeated, moved = _difference(subject.logits, again), _difference(subject.logits, reordered)
    details = {"equal_passes": repeated, "other_batches": moved}
    if repeated > SAME:
        seen, suggests = (
            f"two equal passes differ by {repeated:.2g} of the largest logit",
            ("something is drawn at test time; attacks must average over it (EOT), and these do not"),
        )
    else:
        seen = f"logits agree to {max(repeated, moved):.1g} of the largest, over passes, orders, and batch sizes"
        suggests = "an image's answer depends on the other images of its batch"
        if moved > SAME:
            seen = f"in other batches logits differ by {moved:.2g} of the largest"
    return judged(max(repeated, moved) > SAME, seen, suggests, max(repeated, moved), **details)


def training_mode(subject: Subject) -> Outcome:
    """After .eval() all modules are in evaluation mode, and a pass leaves the buffers alone.

    Source: this project's: dropout and batch statistics at test time look like robustness. No number: any module.
    """
    training, changed = subject.first_look.training, subject.first_look.changed
    problems = []
    if training:
        problems.append(f"in training mode after .eval(): {_listed(training)}")
    if changed:
        problems.append(f"changed by a pass: {_listed(changed)}")
    return judged(
        bool(problems),
        "; ".join(problems) or "all modules are in evaluation mode, and a pass changes no buffer",
        "its answers depend on what it was asked before, or on chance",
        training=training,
        changed=changed,
    )


def not_logits(subject: Subject) -> Outcome:
    """The outputs are finite logits, one for each class, and not probabilities.

    The value is the share of images with an output that is not a finite number.
    Source: AutoAttack's check of the output range: in [0, 1] and summing to 1, each to 1e-5.
    """
    if subject.misshapen is not None:
        return judged(True, subject.misshapen, "it is not a classifier of these classes")
    logits = subject.logits
    broken = 1.0 - float(logits.isfinite().all(1).float().mean())
    probable = (logits >= -PROBABILITIES) & (logits <= 1 + PROBABILITIES)
    sums = (logits.sum(1) - 1).abs() < PROBABILITIES * logits.shape[1]
    probabilities = bool(probable.all()) and bool(sums.all())
    if broken > 0:
        seen, suggests = (
            f"{points(broken)} % of the images have outputs that are not finite",
            ("they count as misclassified, and attacks near them follow no gradient"),
        )
    else:
        seen, suggests = "the outputs are finite logits", ""
        if probabilities:
            seen = "the outputs lie in [0, 1] and sum to one"
            suggests = "they are probabilities, whose cross-entropy is flat; give the logits before softmax"
    return judged(broken > 0 or probabilities, seen, suggests, broken, probabilities=probabilities)


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest difference as a share of the largest finite entry; 1 where one is finite and the other is not."""
    finite = one.isfinite()
    if not torch.equal(finite, other.isfinite()):
        return 1.0
    scale = one[finite].abs().max()
    return float((one[finite] - other[finite]).abs().max() / scale) if scale > 0 else float(other[finite].abs().max())


def _listed(names: list[str]) -> str:
    shown = ", ".join(name or "the whole network" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
