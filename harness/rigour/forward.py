"""Checks of the forward pass: one answer for one image, in evaluation mode, and nothing left behind in the process."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from torch import Tensor

from harness.errors import listed
from harness.rigour.check import Outcome, judged, not_applicable, points
from harness.rigour.subject import Subject
from harness.statistics.exact_bounds import lower_bound

SAME = 1e-4
ROUNDINGS, ROUNDINGS_OF_SUMS = 8, 32  # of a logit: allowed between equal passes, and between orders of sums
_ROUNDING = float(torch.finfo(torch.float32).eps)
_LEAST = float(torch.finfo(torch.float32).tiny)
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
        suggests = f"something is drawn at test time; {_EOT}"
    elif moved > SAME:
        seen = f"in other batches logits differ by {moved:.2g} of an image's margin"
    return judged(largest > SAME, seen, suggests, largest, equal_passes=repeated, other_batches=moved)


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
    seen = "an image's answer is the same over passes, orders, and batch sizes, under attack, and after it"
    if worn > SAME:
        seen = f"after the checks' attacks logits differ by {worn:.2g} of an image's margin from the first"
    suggests = "an answer depends on what was asked before: it counts, keeps, or adapts, and attacks meet another model"
    return judged(worn > SAME, seen, suggests, worn, afterwards=worn)


def training_mode(subject: Subject) -> Outcome:
    """After .eval() all modules are in evaluation mode, and a pass leaves the buffers alone.

    Source: this project's: dropout and batch statistics at test time look like robustness. No number: any module.
    """
    training, changed = subject.first_looks.training, subject.first_looks.changed
    found = {
        "in training mode after .eval()": [name or "the whole network" for name in training],
        "changed by a pass": changed,
    }
    problems = "; ".join(f"{what}: {listed(names)}" for what, names in found.items() if names)
    seen = problems or "all modules are in evaluation mode, and a pass changes no buffer"
    suggests = "its answers depend on what it was asked before, or on chance"
    return judged(bool(problems), seen, suggests, training=training, changed=changed)


def global_state(subject: Subject) -> Outcome:
    """A pass leaves the global random generators, and torch's modes, as they were.

    Generators: torch's, on the CPU and on the device, numpy's, Python's. Modes: those of ``harness.runtime.process``.
    If two equal passes (forward, or forward and backward) leave a generator in the same new state, a pass sets the
    generator. If they leave it in different states, a pass draws from it.
    Source: this project's. No number: any pass, forward or backward. A model that seeds a generator in its forward
        pass makes an attack draw the same numbers for ever: 93 % right under Square, where 65 are.
    """
    twice = [subject.first_looks.streams]  # before, between, and after equal passes
    if subject.misshapen is None:
        twice.append(subject.looks.streams)
    left = subject.isolation.streams()
    drawn, seeded = [], []
    for name in left:
        if any(before[name] != between[name] == after[name] for before, between, after in twice):
            seeded.append(f"{name} generator")
        elif len({left[name], *(states[name] for states in itertools.chain(*twice))}) > 1:
            drawn.append(f"{name} generator")
    found = {"sets": [*seeded, *sorted(subject.isolation.changed)], "draws from": drawn}
    does = " and ".join(f"{verb} {', '.join(names)}" for verb, names in found.items() if names)
    seen = "passes leave the generators and modes that the whole process shares as they were"
    if does:
        seen = f"a pass {does}, which the whole process shares"
    decides = "what numbers an attack draws" if drawn or seeded else "how an attack computes"
    suggests = f"the attacks here were kept apart from it; elsewhere it decides {decides}"
    return judged(bool(does), seen, suggests, set=found["sets"], drawn=drawn)


def equal_passes_differ(one: Tensor, other: Tensor) -> float:
    """The share of an image's margin by which two equal passes differ, beyond rounding. A CPU gets no allowance."""
    return _wavering(one, other, _ROUNDING * ROUNDINGS * one.double().abs() * (one.device.type != "cpu"))


def other_passes_differ(one: Tensor, other: Tensor) -> float:
    """The same for passes that round sums in another order; ``random_forward`` says how much is allowed."""
    ordered = one.double().sort(1, descending=True).values
    medians = (ordered[:, :1] - ordered[:, 1:]).median(1).values.nan_to_num(0.0, 0.0, 0.0)  # the smaller of two
    typical = medians.clamp(min=float(medians.quantile(0.1)))  # ``(n,)``
    allowed = torch.maximum(_ROUNDING * ROUNDINGS_OF_SUMS * one.double().abs(), SAME * typical[:, None])
    return _wavering(one, other, allowed)


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


def _differ(one: Tensor, other: Tensor) -> Tensor:
    """``(n,)`` bool: whose gradients differ by more than a share of the largest entry; NaN is equal to NaN."""
    first, second = (gradient.nan_to_num(0.0, 0.0, 0.0) for gradient in (one, other))
    apart = (first - second).abs().amax(1) > SAME * first.abs().amax(1)
    return apart | (one.isfinite() != other.isfinite()).any(1)
