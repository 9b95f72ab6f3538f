"""AutoAttack's own warnings, each kind a finding with its text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.evidence import lower_bound
from harness.rigour.record import Record

ATTACK = "autoattack"
ZERO_GRADIENT, SQUARE = 0.01, 0.01


@dataclass(frozen=True)
class Kind:
    """A warning of the package.

    Attributes:
        pattern: what its text begins with; its group is the figure that it tells, if any.
        count: images that the figure stands for, of a block of so many.
    """

    pattern: re.Pattern[str]
    count: Callable[[str, int], int] | None = None


KINDS = {
    "random": Kind(re.compile(r"it seems to be a randomized defense")),
    "probabilities": Kind(re.compile(r"it seems that the output is a probability distribution")),
    "dynamic": Kind(re.compile(r"it seems to be a dynamic defense")),
    "zero-gradient": Kind(re.compile(r"there are (\d+) points with zero gradient"), lambda figure, block: int(figure)),
    "square": Kind(
        re.compile(r"Square Attack has decreased the robust accuracy of ([\d.]+)%"),
        lambda figure, block: round(float(figure) / 100 * block),
    ),
}


def _told(kind: str, threshold: float | None) -> Callable[[Record], Outcome]:
    def judge(record: Record) -> Outcome:
        if ATTACK not in record.verdicts:
            return not_applicable("AutoAttack was not run")
        texts = [text for text in record.warnings.get(ATTACK, ()) if kind_of(text) == kind]
        if not texts:
            return judged(False, "AutoAttack did not warn of it", "")
        count = KINDS[kind].count if kind in KINDS else None
        if count is None:
            return judged(True, "AutoAttack warned", texts[0], texts=texts)
        counts = [count(KINDS[kind].pattern.match(text)[1], record.block) for text in texts]  # type: ignore[index]
        value = max(counts) / record.block
        flagged = lower_bound(min(max(counts), record.block), record.block) > (threshold or 0)
        worst = texts[counts.index(max(counts))]
        seen = f"AutoAttack warned, of {max(counts)} of {record.block} images"
        return judged(flagged, seen, worst, value, texts=texts)

    return judge


def kind_of(text: str) -> str:
    """Which of the package's warnings a text is; ``other`` for one that is not known here."""
    return next((name for name, kind in KINDS.items() if kind.pattern.match(text)), "other")


random = _told("random", None)
random.__doc__ = """AutoAttack did not find the network randomised.

Source: pyautoattack, checks.check_randomized: five passes, normalised logits differ by more than 1e-4.
"""
probabilities = _told("probabilities", None)
probabilities.__doc__ = """AutoAttack did not find probabilities in place of logits.

Source: pyautoattack, checks.check_range_output.
"""
dynamic = _told("dynamic", None)
dynamic.__doc__ = """AutoAttack did not find gradients taken inside the forward pass.

Source: pyautoattack, checks.check_dynamic.
"""
zero_gradient = _told("zero-gradient", ZERO_GRADIENT)
zero_gradient.__doc__ = """AutoAttack found a gradient on every image of a block.

The package warns of one; here it takes more than 1 % of a block, beyond chance, as of the check ``zero-gradient``.
Source: pyautoattack, checks.check_zero_gradients.
"""
square = _told("square", SQUARE)
square.__doc__ = """AutoAttack's Square broke few images of a block that its gradient attacks had left.

The package warns beyond 0.2 points, which one image of a block is: 23 of 35 networks trained here have such a warning,
of 1 to 3 of 360 images. So here it takes more than 1 % of a block, beyond chance.
Source: pyautoattack, checks.check_square_sr.
"""
other = _told("other", None)
other.__doc__ = """AutoAttack did not warn of anything else.

Source: a text that this version of harness does not know.
"""
