"""The error and the power of looks that ``docs/statistics.md`` states: computed anew, and their sweeps one by one."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.statistics.crossing import FIRST
from harness.statistics.paired import ALPHA
from harness.statistics.sequential import critical_level, looks
from scripts.looks_study import (
    LIMITS,
    POWERS,
    any_of,
    difference_for,
    digits_residuals,
    fastat_residuals,
    laws,
    p_of_looks,
    residuals,
    sweep,
)

PAGE = (Path(__file__).parents[1] / "docs" / "statistics.md").read_text(encoding="utf-8")
SWEEPS = 4_000


def rows_of(head: str) -> dict[tuple[str, ...], list[float]]:
    """A table of the page whose head begins so: the cells of words or limits -> the numbers after them."""
    lines = PAGE.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(head))
    found = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[tuple(cells[:2])] = [float(re.sub(r"[ %]", "", cell)) for cell in cells[2:]]
    return found


def near(measured: float, stated_percent: float) -> bool:
    """Within four standard errors, of this sample and of the page's, and the page's rounding."""
    share = max(stated_percent / 100, 0.01)
    error = math.sqrt(share * (1 - share) * (1 / SWEEPS + 1 / 20_000))
    return abs(100 * measured - stated_percent) <= 400 * error + 0.05


def test_a_sweep_ends_where_the_looks_one_by_one_do() -> None:
    rng = np.random.default_rng(6)
    for shift in (0.0, 1.5):
        differences = rng.normal(shift, 1.0, (30, 6))
        seeds, separated = [], []
        for row in differences:
            own = looks(list(row), [0.0] * 6, 6)
            ends = next((look.found.n for look in own if look.p <= ALPHA), None)
            seeds.append(ends or 6)
            separated.append(ends is not None)
        found = sweep(differences)
        assert found.separated == pytest.approx(sum(separated) / 30)
        assert found.seeds == pytest.approx(sum(seeds) / 30)


def test_the_p_of_looks_is_scipy_s() -> None:
    differences = np.random.default_rng(1).normal(0.5, 2.0, (5, 7))
    found = p_of_looks(differences)
    for n in range(FIRST, 8):
        assert found[:, n - FIRST] == pytest.approx(stats.ttest_1samp(differences[:, :n], 0.0, axis=1).pvalue)
    assert p_of_looks(np.ones((1, 4))).tolist() == [[1.0, 1.0]]


def test_the_residuals_are_of_the_published_networks() -> None:
    assert len(digits_residuals()) == 35  # seven methods, five seeds
    assert len(fastat_residuals()) == 48  # sixteen methods, three seeds
    assert residuals([[1.0, 2.0, 3.0], [5.0, 5.0]]) == pytest.approx([-math.sqrt(1.5), 0.0, math.sqrt(1.5)])


@pytest.mark.parametrize("limit", LIMITS)
def test_the_errors_of_the_page(limit: int) -> None:
    table = rows_of("| at most | differences |")
    for name, draw in laws().items():
        found = sweep(draw(np.random.default_rng([limit, 7]), (SWEEPS, limit)))
        measured = [found.separated, found.naive, found.fixed, found.at_limit]
        stated = table[f"{limit} seeds", name]
        assert all(near(one, other) for one, other in zip(measured, stated, strict=True)), (name, measured, stated)


@pytest.mark.parametrize("limit", LIMITS)
def test_the_power_of_the_page(limit: int) -> None:
    table = {
        float(key[1]): row for key, row in rows_of("| at most | difference |").items() if key[0] == f"{limit} seeds"
    }
    wanted = [difference_for(power, limit) for power in POWERS]
    assert list(table) == pytest.approx([*wanted, 2 * wanted[-1]], abs=0.006)
    for difference, (at_limit, separated, seeds) in zip([*wanted, 2 * wanted[-1]], table.values(), strict=True):
        found = sweep(np.random.default_rng([limit, 8]).normal(size=(SWEEPS, limit)) + difference)
        assert near(found.separated, separated)
        assert near(found.at_limit, at_limit)
        assert found.seeds == pytest.approx(seeds, abs=0.05 + 4 * limit / 2 / math.sqrt(SWEEPS))


def test_the_error_over_several_pairs() -> None:
    stated = re.search(r"of four equal methods \(six pairs\).*?in ([\d.]+) to ([\d.]+) %", " ".join(PAGE.split()))
    assert stated is not None
    for limit in LIMITS:
        found = any_of(4, limit, np.random.default_rng([limit, 9]), SWEEPS)
        assert any(near(found, float(end)) for end in stated.groups())
        assert found < ALPHA + 3 * math.sqrt(ALPHA / SWEEPS)


def test_the_page_has_the_levels() -> None:
    texts = [f"{critical_level(limit):.4f}" for limit in LIMITS]
    assert f"{texts[0]}, {texts[1]}, and {texts[2]} for limits of 6, 12, and 30" in " ".join(PAGE.split())
