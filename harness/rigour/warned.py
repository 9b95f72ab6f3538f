"""Checks of the warnings of ensembles: one check for each kind of text that AutoAttack's package warns with."""

from __future__ import annotations

import re

from harness.rigour.check import Check, Outcome, judged, not_applicable
from harness.rigour.record import Record
from harness.statistics.exact_bounds import lower_bound

SHARE = 0.01  # of a block's images
_COUNT, _PERCENT = r"(?P<count>\d+)", r"(?P<percent>[\d.]+)%"  # how many of a block's images a text names

KINDS: dict[str, tuple[str, str, str]] = {
    "autoattack-random": (
        "it seems to be a randomized defense",
        "AutoAttack did not find the network randomised.",
        "pyautoattack, checks.check_randomized: five passes, normalised logits differ by more than 1e-4.",
    ),
    "autoattack-probabilities": (
        "it seems that the output is a probability distribution",
        "AutoAttack did not find probabilities in place of logits.",
        "pyautoattack, checks.check_range_output.",
    ),
    "autoattack-dynamic": (
        "it seems to be a dynamic defense",
        "AutoAttack did not find gradients taken inside the forward pass.",
        "pyautoattack, checks.check_dynamic.",
    ),
    "autoattack-zero-gradient": (
        f"there are {_COUNT} points with zero gradient",
        "AutoAttack found a gradient on nearly every image of a block.",
        "pyautoattack, checks.check_zero_gradients, which warns of one image; 1 % as for the check zero-gradient.",
    ),
    "autoattack-square": (
        f"Square Attack has decreased the robust accuracy of {_PERCENT}",
        "AutoAttack's Square broke few images of a block that its gradient attacks had left.",
        "pyautoattack, checks.check_square_sr, which warns beyond 0.2 points, one image of a block. 23 of 35 networks"
        " trained here have that warning, of 1 to 3 of 360 images; hence 1 %.",
    ),
    "autoattack-other": ("", "AutoAttack did not warn of anything else.", "a text that harness does not know."),
}
"""For each check: how its texts begin, what the check claims, and its source. A text belongs to the first that fits.

A text that counts images is flagged beyond a share of the block, and beyond chance.
"""


def kind_of(text: str) -> str:
    """The check to which a text belongs."""
    return next(name for name, (begins, *_) in KINDS.items() if re.match(begins, text))


def _check(name: str, begins: str, claim: str, source: str) -> Check[Record]:
    counts_images = re.compile(begins).groups > 0

    def judge(record: Record) -> Outcome:
        ensembles = record.of_kind("ensemble")
        if not ensembles:
            return not_applicable(f"it needs verdicts under {record.wanted('ensemble')}")
        who = ", ".join(map(record.title, ensembles))
        texts = [text for attack in ensembles for text in record.warnings.get(attack, ()) if kind_of(text) == name]
        if not texts:
            return judged(False, f"{who} did not warn of it", "")
        if not counts_images:
            return judged(True, f"{who} warned", texts[0], texts=texts)
        counts = [_images(re.match(begins, text), record.block) for text in texts]
        most = max(counts)
        flagged = lower_bound(min(most, record.block), record.block) > SHARE
        seen = f"{who} warned, of {most} of {record.block} images"
        return judged(flagged, seen, texts[counts.index(most)], most / record.block, texts=texts)

    judge.__doc__ = f"{claim}\n\nSource: {source}"
    return Check(name, "W", judge, SHARE if counts_images else None)


def _images(warned: re.Match[str] | None, block: int) -> int:
    """How many images of a block a warning is about."""
    assert warned is not None
    figures = warned.groupdict()
    return int(figures["count"]) if "count" in figures else round(float(figures["percent"]) / 100 * block)


CHECKS: tuple[Check[Record], ...] = tuple(_check(name, *texts) for name, texts in KINDS.items())
