"""Check of the order of classes: would the answers be right under another order?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.errors import class_name
from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.evidence import points
from harness.rigour.subject import Subject

GAINED = 0.01
ERRORS = 3.0  # standard errors, which chance exceeds once in 700 times
_TIE = 1e-6  # favours the given order, so that a class that is never predicted keeps its place
_SHOWN = 3  # classes in a reason


def classes_permuted(subject: Subject) -> Outcome:
    """No other order of classes makes more of the clean answers right.

    The best order is found on one half of the images and judged on the other, and the other way round, so that chance
    gains nothing. The value is the gain in accuracy, as a mean over classes: so it is 0 for answers that ignore the
    image, however unequal the classes are. Flagged beyond 1 point and beyond three standard errors.
    Source: this project's (networks trained here, for one epoch and for many: to 0.01; two of ten classes exchanged:
        0.2). The assignment is Kuhn's, of the matrix of confusions.
    """
    answered = subject.logits.isfinite().all(1)
    if not bool(answered.any()):
        return not_applicable("no output is a number")
    classes = subject.logits.shape[1]
    predicted, y = subject.logits[answered].argmax(1).cpu(), subject.y[answered].cpu()
    first = _half(y)
    elsewhere = torch.empty_like(predicted)  # answers under the best order of the other half
    for fitted, judged_on in ((first, ~first), (~first, first)):
        order = best_order(predicted[fitted], y[fitted], classes)
        elsewhere[judged_on] = order[predicted[judged_on]]
    plain, other = predicted == y, elsewhere == y
    gain, error = _gain(other.float() - plain.float(), y, classes)
    order = best_order(predicted, y, classes)
    flagged = gain > GAINED and gain > ERRORS * error
    seen = f"no order of classes fits better than theirs, under which {points(float(plain.float().mean()))} % are right"
    if flagged:
        seen = (
            f"right: {points(float(plain.float().mean()))} % in this order of classes,"
            f" {points(float(other.float().mean()))} % under another order: {_moves(subject, predicted, y, order)}"
        )
    return judged(
        flagged,
        seen,
        "the network was trained with its classes in another order, and every figure here is of wrong labels",
        gain,
        order=order.tolist() if flagged else None,
        standard_error=error,
    )


def best_order(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """``(classes,)`` the class of each output in the order with the most right answers; classes have equal weight."""
    from scipy.optimize import linear_sum_assignment

    confusions = torch.zeros(classes, classes, dtype=torch.float64)
    confusions.index_put_((predicted, y), torch.ones(len(y), dtype=torch.float64), accumulate=True)
    shares = confusions / torch.bincount(y, minlength=classes).clamp(min=1)
    shares += _TIE * torch.eye(classes, dtype=torch.float64)
    return torch.as_tensor(linear_sum_assignment(shares.numpy(), maximize=True)[1])


def _half(y: Tensor) -> Tensor:
    """``(n,)`` bool: every other image of each class."""
    place = torch.empty_like(y)
    place[y.argsort(stable=True)] = torch.arange(len(y))
    return place % 2 == 0


def _gain(differences: Tensor, y: Tensor, classes: int) -> tuple[float, float]:
    """The mean over classes of the mean difference, and its standard error if neither order is better."""
    counts = torch.bincount(y, minlength=classes)
    weights = 1.0 / (counts[y].double() * int((counts > 0).sum()))
    return float((weights * differences).sum()), math.sqrt(float((weights * differences).square().sum()))


def _moves(subject: Subject, predicted: Tensor, y: Tensor, order: Tensor) -> str:
    """The outputs that stand for another class, in words; those with the most images first."""
    moved = [c for c in range(len(order)) if int(order[c]) != c]
    counts = {c: int(((predicted == c) & (y == order[c])).sum()) for c in moved}
    shown = [c for c in sorted(moved, key=lambda c: -counts[c]) if counts[c]]
    texts = [
        f"what the network calls {class_name(subject.names, c)} is labelled {class_name(subject.names, int(order[c]))}"
        for c in shown[:_SHOWN]
    ]
    return ", ".join(texts) + (f", and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")
