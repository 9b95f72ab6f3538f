"""Checks of the classes: predictions that crowd into few, and classes that are left behind."""

from __future__ import annotations

import torch

from harness.errors import class_name
from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.evidence import lower_bound, points, upper_bound
from harness.rigour.record import Record
from harness.rigour.subject import Subject

CROWDED = 0.20
NATURAL_PART, ATTACKED_PART = 0.5, 0.2


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
    return judged(
        lower_bound(excess[most], of) > CROWDED,
        f"class {class_name(subject.names, most)} is predicted {points(value)} points more often than it occurs",
        "the network tends to a constant answer, which no attack can change and no image decides",
        value,
        predicted=predicted.tolist(),
    )


def class_left_behind(record: Record) -> Outcome:
    """No class is left far behind the whole: clean below half of its accuracy, under an attack below a fifth.

    The value is the least ratio of a class's accuracy to the whole; flagged by the upper bound of the class's
    accuracy. Attacks that leave less than 20 % right do not count.
    Source: this project's. Adversarially trained networks have weak classes: on the digits the weakest has 0.22 to
        0.30 of the whole with SAT, and down to 0.09 with LRAT (2 of 35 images), which chance may explain.
    """
    worst: tuple[bool, float, str, int] | None = None
    table: dict[str, list[float | None]] = {}
    for attack in record.attacks:
        right = record.median_seed(attack)
        whole = float(right.float().mean())
        part = NATURAL_PART if record.kind(attack) == "clean" else ATTACKED_PART
        counts = [(int(right[record.labels == c].sum()), int((record.labels == c).sum())) for c in record.classes]
        table[attack] = [count / of if of else None for count, of in counts]
        if whole < ATTACKED_PART:
            continue
        for c, (count, of) in zip(record.classes, counts, strict=True):
            if of:
                found = (upper_bound(count, of) < part * whole, -(count / of) / whole, attack, c)
                worst = found if worst is None or found[:2] > worst[:2] else worst
    if worst is None:
        return not_applicable("no stored attack leaves a fifth of the images right")
    flagged, ratio, attack, weakest = worst
    return judged(
        flagged,
        f"class {class_name(record.names, weakest)} has {points(-ratio)} % of the whole accuracy ({attack})",
        "the figure is an average that this class has no part in",
        -ratio,
        accuracy=table,
    )
