"""The rates of failed training seeds that ``docs/statistics.md`` states, computed anew."""

from __future__ import annotations

from pathlib import Path

from scipy.stats import binom

from harness.statistics.exact_bounds import upper_bound
from scripts.collapse_study import chances, fastat_judged, lines, published
from scripts.gap_study import PLAIN, WITHOUT, halves

PAGE = " ".join((Path(__file__).parents[1] / "docs" / "statistics.md").read_text(encoding="utf-8").split())


def test_fastats_networks() -> None:
    chosen, aside = halves()
    fixed_on, looked_at = fastat_judged([*chosen, PLAIN, WITHOUT]), fastat_judged(aside)
    hits = [(row.dataset, row.method, seed) for row in (*fixed_on, *looked_at) for seed in row.failed]
    assert hits == [("cifar10", "elle", 2)]
    assert f"| FastAT, on which the rule was fixed | 0 of {sum(row.of for row in fixed_on)} |" in PAGE
    counted = f"1 of {sum(row.of for row in looked_at)}: `elle` on CIFAR-10, seed 2"
    assert f"| FastAT, set aside | {counted} |" in PAGE
    networks, rows = sum(row.of for row in (*fixed_on, *looked_at)) - 1, len(fixed_on) + len(looked_at) - 1
    assert (networks, rows) == (125, 41)
    assert f"none of the {networks} other networks" in PAGE
    assert f"at most {100 * upper_bound(0, networks):.1f} % if networks were independent" in PAGE
    assert f"0 of {rows} rows, at most {100 * upper_bound(0, rows):.1f} %" in PAGE


def test_our_own_networks() -> None:
    digits = [row for row in published() if row.dataset == "digits"]
    photographs = [row for row in published() if row.dataset != "digits"]
    assert f"n = 360 images | {sum(len(row.failed) for row in digits)} of {sum(row.of for row in digits)} |" in PAGE
    failed = sum(len(row.failed) for row in photographs)
    assert f"n = 500 images | {failed} of {sum(row.of for row in photographs)}, all by `class-left-behind` |" in PAGE


def test_chances() -> None:
    """Of 360 images 46 or fewer are found: summed here by the law's own distribution function."""
    few, many, hundred = chances(10, 360), chances(10, 10_000), chances(100, 500)
    for name, share in (("at chance", 0.1), ("at half of chance", 0.05), ("at 1.5 times chance", 0.15)):
        assert abs(few[name] - binom.cdf(46, 360, share)) < 1e-12
    assert f"found with {100 * few['at chance']:.1f} % on 360 images, and {100 * many['at chance']:.1f} % on" in PAGE
    assert f"one of 5 % with {100 * few['at half of chance']:.1f} %" in PAGE
    named = f"{100 * few['at 1.5 times chance']:.1f} % on 360 images and {100 * many['at 1.5 times chance']:.1f} % on"
    assert f"One of 15 % is named with {named} 10,000; one of 20 % with {100 * few['at twice chance']:.1f} %" in PAGE
    assert f"500 images find {100 * hundred['at chance']:.0f} % of networks at chance" in PAGE


def test_the_study_prints_all_of_it() -> None:
    told = list(lines())
    assert told[1] == "FastAT, set aside: 1 of 54 networks: cifar10 elle 2"
    assert len(told) == 3 + 5
