"""Checks of the classes: predictions that crowd into few, classes in another order, and classes left behind."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.errors import class_name
from harness.rigour.check import Outcome, judged, not_applicable, points
from harness.rigour.record import Record
from harness.rigour.subject import Subject
from harness.statistics.exact_bounds import lower_bound, upper_bound

CROWDED = 0.20
NATURAL_PART, ATTACKED_PART = 0.5, 0.2
GAINED = 0.01
ERRORS = 3.0  # standard errors, which chance exceeds once in 700 times
_TIE = 1e-6  # favours the given order, so that a class that is never predicted keeps its place
_SHOWN = 3  # classes in a reason


def class_collapse(subject: Subject) -> Outcome:
    """Clean predictions do not crowd into one class.

    The value is the share of predictions of a class minus the share of its images, the largest over classes: 0.9 for
    a constant answer on ten classes of equal size.
    Source: this project's (35 networks trained here: to 0.03; after a few epochs of adversarial training 0.18).
    """
    classes = subject.logits.shape[1]
    answered = subject.logits.isfinite().all(1)
    of = int(answered.sum())
    if of == 0:
        return not_applicable("no output is a number")
    predicted = torch.bincount(subject.logits[answered].argmax(1), minlength=classes)
    excess = (predicted - torch.bincount(subject.y[answered], minlength=classes)).tolist()
    most = max(range(classes), key=lambda c: excess[c])
    value = excess[most] / of
    seen = f"class {class_name(subject.names, most)} is predicted {points(value)} points more often than it occurs"
    suggests = "the network tends to a constant answer, which no attack can change and no image decides"
    return judged(lower_bound(excess[most], of) > CROWDED, seen, suggests, value, predicted=predicted.tolist())


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
    plain, other = (predicted == y).float(), (elsewhere == y).float()
    gain, error = _gain(other - plain, y, classes)
    order = best_order(predicted, y, classes)
    flagged = gain > GAINED and gain > ERRORS * error
    here, there = points(float(plain.mean())), points(float(other.mean()))
    seen = f"no order of classes fits better than theirs, under which {here} % are right"
    if flagged:
        moves = _moves(subject, predicted, y, order)
        seen = f"right: {here} % in this order of classes, {there} % under another order: {moves}"
    suggests = "the network was trained with its classes in another order, and every figure here is of wrong labels"
    shown = order.tolist() if flagged else None
    return judged(flagged, seen, suggests, gain, order=shown, standard_error=error)


def class_left_behind(record: Record) -> Outcome:
    """No class is left far behind the whole: clean below half of its accuracy, under an attack below a fifth.

    The value is the least ratio of a class's accuracy to the whole; flagged by the upper bound of the class's
    accuracy. Attacks that leave less than 20 % right do not count.
    Source: this project's. Adversarially trained networks have weak classes: on the digits the weakest has 0.22 to
        0.30 of the whole with SAT, and down to 0.09 with LRAT (2 of 35 images), which chance may explain.
    """
    classes = sorted(set(record.labels.tolist()))
    found: list[tuple[bool, float, str, int]] = []
    table: dict[str, list[float]] = {}
    for attack in record.verdicts:
        right = record.median_seed(attack)
        whole = float(right.float().mean())
        part = NATURAL_PART if record.kind(attack) == "clean" else ATTACKED_PART
        counts = [(int(right[record.labels == c].sum()), int((record.labels == c).sum())) for c in classes]
        table[attack] = [count / of for count, of in counts]
        for c, (count, of) in zip(classes, counts, strict=True) if whole >= ATTACKED_PART else ():
            found.append((upper_bound(count, of) < part * whole, count / of / whole, attack, c))
    if not found:
        return not_applicable("no stored attack leaves a fifth of the images right")
    flagged, ratio, attack, weakest = max(found, key=lambda one: (one[0], -one[1]))
    seen = f"class {class_name(record.names, weakest)} has {points(ratio)} % of the whole accuracy ({attack})"
    return judged(flagged, seen, "the figure is an average that this class has no part in", ratio, accuracy=table)


def best_order(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """``(classes,)`` the class of each output in the order with the most right answers; classes have equal weight."""
    from scipy.optimize import linear_sum_assignment

    confusions = torch.bincount(predicted * classes + y, minlength=classes**2).view(classes, classes).double()
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
    counts = {c: int(((predicted == c) & (y == order[c])).sum()) for c in range(len(order)) if int(order[c]) != c}
    shown = [c for c in sorted(counts, key=lambda c: -counts[c]) if counts[c]]
    texts = [
        f"what the network calls {class_name(subject.names, c)} is labelled {class_name(subject.names, int(order[c]))}"
        for c in shown[:_SHOWN]
    ]
    return ", ".join(texts) + (f", and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")
