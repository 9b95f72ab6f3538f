"""Checks of stored verdicts against each other: no attack may find what a stronger one misses."""

from __future__ import annotations

from harness.rigour.check import Outcome, judged, not_applicable
from harness.rigour.evidence import Excess, excess, lower_bound, points
from harness.rigour.record import Record

ALONE = 0.05
MISSED = 0.01
ABOVE = 0.005


def square_stronger(record: Record) -> Outcome:
    """A black-box attack such as Square, which sees no gradient, breaks few images that gradient attacks leave.

    The value is the share of all images that every gradient attack with every seed leaves, and a black-box one breaks.
    Source: Carlini et al. 2019, arXiv:1902.06705 (black-box attacks are weaker than white-box ones). AutoAttack's own
        0.2 points come after three converged attacks; 20 steps of PGD and CW leave Square up to 2.8 points of one
        seed, and 1.4 of five, on 35 networks trained here. So the threshold is 5.
    """
    gradient, black_box = record.of_kind("white-box", "single-step"), record.of_kind("black-box")
    if not black_box or not gradient:
        return not_applicable(f"it needs verdicts under {record.wanted('black-box')} and under a gradient attack")
    alone = int((record.always(*gradient) & ~record.always(*black_box)).sum())
    verb = "breaks" if len(black_box) == 1 else "break"
    return judged(
        lower_bound(alone, record.n) > ALONE,
        f"{', '.join(map(record.title, black_box))} alone {verb} {points(alone / record.n)} % of the images,"
        f" which {', '.join(gradient)} leave",
        "gradients are masked; an attack that does not follow them does better",
        alone / record.n,
        alone=alone,
    )


def autoattack_misses(record: Record) -> Outcome:
    """An ensemble such as AutoAttack leaves hardly an image that another attack breaks.

    The value is the share of all images that the strongest ensemble with every seed leaves, and another attack breaks.
    Source: AutoAttack holds stronger forms of these attacks; 1 % is this project's (35 networks trained here: to
        0.3 %, with five seeds of each).
    """
    strong, clean = record.strongest_ensemble(), record.of_kind("clean")
    others = [attack for attack in record.attacks if attack not in (strong, *clean)]
    if strong is None or not others:
        return not_applicable(f"it needs verdicts under {record.wanted('ensemble')} and another attack")
    title = record.title(strong)
    missed = {a: int((record.always(strong) & ~record.always(a)).sum()) for a in others}
    all_missed = int((record.always(strong) & ~record.always(*others)).sum())
    return judged(
        lower_bound(all_missed, record.n) > MISSED,
        f"{title} leaves {points(all_missed / record.n)} % of the images, which {', '.join(others)} break",
        f"{title} is unreliable here; take the worst case over attacks",
        all_missed / record.n,
        **missed,
    )


def robust_above_clean(record: Record) -> Outcome:
    """No accuracy under attack is above the clean one.

    The value is the largest excess over attacks; flagged beyond 0.5 points and beyond chance.
    Source: the image itself lies in the ball. An attack may repair an error by chance, hence 0.5 points.
    """
    unattacked = record.of_kind("clean")
    attacks = [attack for attack in record.attacks if attack not in unattacked]
    if not unattacked or not attacks:
        return not_applicable(f"it needs verdicts under {record.wanted('clean')} and an attack")
    clean = record.median_seed(unattacked[0])
    tables: dict[str, Excess] = {attack: excess(record.median_seed(attack), clean) for attack in attacks}
    most = max(attacks, key=lambda attack: (tables[attack].beyond(ABOVE), tables[attack].share))
    return judged(
        tables[most].beyond(ABOVE),
        f"accuracy under {most} minus clean accuracy is {100 * tables[most].share:+.1f} points",
        f"{most} repairs errors instead of making them; it is no attack on this network",
        tables[most].share,
        **{attack: table.share for attack, table in tables.items()},
    )
