"""The gap between two attacks beside a baseline's: by hand, and how often chance alone raises the alarm."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from scipy.stats import binom

from harness.statistics.attack_gaps import (
    BaselineGap,
    BrokenShare,
    NetworkGaps,
    baseline_gap,
    exceeds,
    flag_reason,
    worst_gap,
)


def lost(broken: int, left: int, of: int = 1000, attack: str = "pgd") -> BrokenShare:
    return BrokenShare(attack, broken / left if left else 0.0, 100 * broken / of, broken, left)


def network(*gaps: BrokenShare) -> NetworkGaps:
    return NetworkGaps("AutoAttack", gaps)


def baseline(broken: int, left: int) -> BaselineGap:
    found = baseline_gap([network(lost(broken, left))])
    assert found is not None
    return found


def test_what_a_finding_keeps_is_read() -> None:
    details = {"pgd": {"share": 0.2, "lower_bound": 0.15, "points": 10.0, "broken": 100, "left": 500}}
    seen = NetworkGaps.of_finding("AutoAttack breaks 20.0 % of the 500 images that pgd leaves: older words", details)
    assert seen == network(BrokenShare("pgd", 0.2, 10.0, 100, 500))
    assert NetworkGaps.of_finding("it needs verdicts", {}) is None


@pytest.mark.parametrize(
    "kept", [{"share": 0.2}, "much", None, {"share": "0.2", "points": 1.0, "broken": 1, "left": 5}, {"share": True}]
)
def test_details_of_another_form_are_refused(kept: Any) -> None:
    with pytest.raises(ValueError, match="the details of autoattack-gap"):
        NetworkGaps.of_finding("AutoAttack breaks", {"pgd": kept})


def test_the_baseline_is_the_widest_gap_of_the_mean_counts() -> None:
    """PGD: 10 and 20 of 100 and 200; CW: 30 and 30 of 100 and 100, of which the second network leaves one image."""
    first = network(lost(10, 100), lost(30, 100, attack="cw"))
    second = network(lost(50, 200), lost(30, 100, attack="cw"))
    found = baseline_gap([first, second])
    assert found == BaselineGap("cw", 0.3, 30, 100, (0.3, 0.3))
    only_pgd = baseline_gap([network(lost(10, 100)), network(lost(50, 200))])
    assert only_pgd is not None
    assert only_pgd.share == pytest.approx(60 / 300)
    assert (only_pgd.broken, only_pgd.left, only_pgd.shares) == (30, 150, (0.1, 0.25))


def test_an_attack_that_leaves_few_images_or_not_every_network_has_is_no_baseline() -> None:
    assert baseline_gap([network(lost(9, 19))]) is None
    assert baseline_gap([network(lost(9, 20))]) is not None
    assert baseline_gap([network(lost(9, 90)), network(lost(9, 90, attack="cw"))]) is None
    assert baseline_gap([]) is None


@pytest.mark.parametrize(
    ("gap", "beside", "flagged"),
    [
        pytest.param(lost(500, 2000, 10_000), baseline(200, 2000), True, id="2.5 times, of many"),
        pytest.param(lost(400, 2000, 10_000), baseline(200, 2000), False, id="twice is not more than twice"),
        pytest.param(lost(380, 2000, 10_000), baseline(200, 2000), False, id="1.9 times, however certain"),
        pytest.param(lost(10, 40, 80), baseline(4, 40), False, id="2.5 times, of few, may be chance"),
        pytest.param(lost(150, 200, 10_000), baseline(200, 2000), False, id="1.5 points matter little"),
        pytest.param(lost(60, 200), baseline(0, 200), True, id="the baseline loses nothing"),
        pytest.param(lost(0, 0), baseline(0, 200), False, id="nothing is left"),
    ],
)
def test_a_gap_is_beyond_the_baseline(gap: BrokenShare, beside: BaselineGap, flagged: bool) -> None:
    assert exceeds(gap, beside) is flagged


def test_the_widest_gap_beyond_the_baseline_is_shown_and_not_one_of_few_images() -> None:
    beside = baseline(200, 2000)
    few = BrokenShare("fgsm", 1.0, 2.5, 1, 1)
    seen = network(few, lost(500, 2000, 10_000), lost(600, 2000, 10_000, attack="cw"))
    assert seen.widest is few
    assert worst_gap(seen, beside) == lost(600, 2000, 10_000, attack="cw")
    assert worst_gap(network(few), beside) is None


def test_the_reason_has_both_shares_with_their_intervals_and_n() -> None:
    """The bounds are those of a table of Clopper and Pearson's: 50 of 100, two-sided 90 %, is 41.4 to 58.6."""
    seen = network(lost(50, 100))
    reason = flag_reason(seen, seen.widest, baseline(20, 100), "sat+ema")
    assert "50.0 % of the 100 images that pgd leaves (5.0 points), [41.4, 58.6]; of sat+ema 20.0 % [13.7," in reason
    assert "of the 100 that pgd leaves (1 network): 2.5 times that" in reason
    several = baseline_gap([network(lost(10, 100)), network(lost(30, 100))])
    assert several is not None
    assert "(2 networks, 10.0 to 30.0 %)" in several.text


@pytest.mark.parametrize(("left", "share"), [(100, 0.1), (100, 0.2), (250, 0.1), (250, 0.3)])
def test_of_two_networks_of_equal_shares_at_most_one_in_a_hundred_is_flagged(left: int, share: float) -> None:
    """Exact, summed over both counts: images of one network are independent of those of the other."""
    counts = [(k, float(binom.pmf(k, left, share))) for k in range(left + 1)]
    likely = [(k, p) for k, p in counts if p > 1e-6]
    rate = sum(
        p * q for (k, p), (b, q) in itertools.product(likely, likely) if exceeds(lost(k, left), baseline(b, left))
    )
    assert 0 < rate <= 0.01
