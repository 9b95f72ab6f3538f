"""Check of the gap between white-box attacks and an ensemble: the GAIRAT alarm."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.evidence import lower_bound, points
from harness.rigour.record import Record

BROKEN = 0.15
LEAST = 0.02


def autoattack_gap(record: Record) -> Outcome:
    """An ensemble such as AutoAttack breaks few of the images that a white-box attack such as PGD leaves.

    The value is that share, the largest over white-box attacks, each over all pairs of seeds. Flagged where its lower
    bound exceeds 15 %, and the gap is at least 2 points. A share travels between data sets, where points do not: 2.6
    points of 51 and 7 of 73 are both what adversarial training shows.
    Source: plain adversarial training (SAT, TRADES) shows up to 14.5 % in the tables of the LRAT paper (SAT on SVHN),
        and up to 14.0 % on the 10 networks measured here; GAIRAT and GAIR-TRADES show 38 to 43 % there (without a
        misprinted cell), 19 to 24 % here. On CIFAR-10 the usual 2 to 4 points of about 50 are 4 to 8 %.
    """
    strong, plain = record.strongest_ensemble(), record.of_kind("white-box")
    if strong is None or not plain:
        return not_applicable(f"it needs verdicts under {record.wanted('ensemble')} and under a white-box attack")
    gaps = {attack: _gap(record.verdicts[attack], record.verdicts[strong]) for attack in plain}
    flagged = [attack for attack, gap in gaps.items() if gap["lower_bound"] > BROKEN and gap["points"] >= 100 * LEAST]
    shown = flagged[0] if flagged else max(gaps, key=lambda attack: gaps[attack]["share"])
    gap = gaps[shown]
    if gap["left"] == 0:
        return not_applicable(f"{shown} leaves nothing to break")
    return judged(
        bool(flagged),
        f"{record.title(strong)} breaks {points(gap['share'])} % of the {gap['left']} images that {shown} leaves"
        f" ({gap['points']:.1f} points)",
        f"more than adversarial training shows; the figure under {shown} flatters this network (as GAIRAT's does)",
        gap["share"],
        **gaps,
    )


def _gap(plain: Tensor, strong: Tensor) -> dict[str, Any]:
    """Means over all pairs of seeds, as whole images."""
    pairs = len(plain) * len(strong)
    lost = sum(int((p & ~s).sum()) for p in plain for s in strong) / pairs
    left = float(plain.sum()) / len(plain)
    return {
        "share": lost / left if left else 0.0,
        "lower_bound": lower_bound(min(round(lost), round(left)), round(left)),
        "points": 100 * (float(plain.float().mean()) - float(strong.float().mean())),
        "broken": round(lost),
        "left": round(left),
    }
