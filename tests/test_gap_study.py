"""The rates of ``autoattack-gap`` that ``docs/rigour.md`` states, computed anew from the published figures."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from harness.statistics.exact_bounds import lower_bound
from scripts.gap_study import PLAIN, WITHOUT, Judged, fastat, fastat_judged, halves, lines, lrat_judged, power

PAGE = " ".join((Path(__file__).parents[1] / "docs" / "rigour.md").read_text(encoding="utf-8").split())
APART = {("cifar10", "elle", "2"), ("cifar100", "nu_at", "1"), ("cifar100", "nu_at", "2")} | {
    ("cifar10", "ssat", seed) for seed in "012"
}


def flagged(found: list[Judged]) -> set[tuple[str, str, str]]:
    return {(one.case.dataset, one.case.method, one.case.seed) for one in found if one.flagged}


def test_the_halves_are_all_methods_but_the_baselines_and_share_none() -> None:
    chosen, aside = halves()
    assert (len(chosen), len(aside)) == (10, 9)
    assert set(chosen) | set(aside) | {PLAIN, WITHOUT} == {case.method for case in fastat()}
    assert not set(chosen) & set(aside)
    assert "ssat" in aside  # the split that the page tells of
    assert "nu_at" in chosen


def test_on_fastat_the_networks_that_stand_apart_are_flagged_and_no_others() -> None:
    chosen, aside = (fastat_judged(methods) for methods in halves())
    assert (len(chosen), len(aside)) == (60, 54)
    assert flagged(chosen) | flagged(aside) == APART
    of_plain = [*fastat_judged([PLAIN]), *fastat_judged([WITHOUT], WITHOUT)]
    assert (len(of_plain), flagged(of_plain)) == (12, set())


def table() -> Iterator[tuple[tuple[str, str, str], float, float]]:
    """The points that AutoAttack takes, and the share, read from the file alone."""
    text = (resources.files("harness.reference") / "fastat.csv").read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        points = float(line["pgd20"]) - float(line["autoattack"])
        yield (line["dataset"], line["method"], line["seed"]), points, points / float(line["pgd20"])


def test_they_stand_apart_in_points_as_well() -> None:
    apart = [points for key, points, _ in table() if key in APART]
    others = [points for key, points, _ in table() if key not in APART]
    assert f"takes {min(apart):.1f} points or more of the six flagged networks, and at most {max(others):.1f}" in PAGE


def test_one_threshold_for_both_data_sets_flags_nearly_all_of_the_second() -> None:
    """The rule before: a lower bound above 15 %, of the images that PGD leaves of 10,000."""
    hits, above = set(), 0
    for key, points, share in table():
        left = round(100 * points / share)
        hits |= {key} if lower_bound(round(share * left), left) > 0.15 and points >= 2 else set()
        above += key[0] == "cifar100" and share > 0.15
    assert {key for key in hits if key[0] == "cifar10"} == {key for key in APART if key[0] == "cifar10"}
    of_second = len([key for key in hits if key[0] == "cifar100"])
    assert (
        f"is exceeded by {above} of 63 networks on CIFAR-100; with its bound the rule before flagged {of_second}"
        in PAGE
    )
    assert f"flagged 4 of 63 on CIFAR-10, the same four, and {of_second} of 63 on CIFAR-100" in PAGE


def test_without_equal_weight_averaging_the_alarm_is_false() -> None:
    found = fastat_judged([method for half in halves() for method in half], WITHOUT)
    hits = [one for one in found if one.flagged and one.case.dataset == "cifar10"]
    assert f"flag {len(hits)} of the 57 other networks on CIFAR-10" in PAGE


def test_on_the_papers_tables() -> None:
    found, without = lrat_judged()
    hits = {(one.case.dataset, one.case.network, one.case.method): round(one.ratio, 2) for one in found if one.flagged}
    gair = {key for key in hits if key[2].startswith("gair")}
    assert gair == {(o.case.dataset, o.case.network, o.case.method) for o in found if o.case.method[:4] == "gair"}
    assert len(gair) == 5
    assert {key: hits[key] for key in hits.keys() - gair} == {
        ("cifar10", "resnet18", "lrat-trades"): 2.49,
        ("cifar10", "resnet18", "lrat[P+C]"): 2.11,
    }
    assert {case.seed for case in without if case.method != "sat"} == {"last"}


def test_chance_alone_and_power() -> None:
    cases = [(113, 0.2, 500), (260, 0.1, 360)]
    ends = [sorted(round(100 * power(left, b, t, n)) for left, b, n in cases) for t in (3, 2.5, 2)]
    three, more, twice = (f"{low} to {high} %" if low < high else f"{low} %" for low, high in ends)
    assert f"three times the share is flagged with {three}, of 2.5 times with {more}, of twice with {twice}." in PAGE
    assert max(power(left, b, 1, n) for left, b, n in cases) <= 0.0055


def test_the_power_by_hand() -> None:
    """Of 2 images that are left, the baseline loses none or the network is not flagged: its bound is that wide."""
    assert power(2, 0.5, 2, 2) == 0.0  # both of 2 broken beside none of 2: 0.22 against 0.78
    both, none = 1.0, 0.9**30  # 30 of 30 beside none: above; beside a few as well, but not beside 15 or more
    assert none < power(30, 0.1, 10, 100) <= both


def test_the_page_has_the_ranges_of_the_networks_that_pass() -> None:
    for methods in halves():
        for dataset in ("cifar10", "cifar100"):
            found = [one.ratio for one in fastat_judged(methods) if one.case.dataset == dataset and not one.flagged]
            assert f"| {min(found):.2f} to {max(found):.2f} |" in PAGE
    plain = [one.ratio for one in [*fastat_judged([PLAIN]), *fastat_judged([WITHOUT], WITHOUT)]]
    assert f"| 12 | 0 | {min(plain):.2f} to {max(plain):.2f} |" in PAGE
    assert any("4 of 27 flagged: elle resnet18 2 (13.21)" in line for line in lines())
