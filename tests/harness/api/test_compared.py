"""Comparisons as tables, on the board that ships: equal to what the command line prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import harness
from tests.command import exit_code
from tests.first_board import FIRST_BOARD

TWO = "sat lrat --dataset digits --attack pgd"


@pytest.fixture
def results() -> Iterator[harness.Results]:
    with harness.open(FIRST_BOARD) as opened:
        yield opened


def printed(capsys: pytest.CaptureFixture[str], options: str) -> Any:
    assert exit_code(f"harness compare {TWO} --json --db {FIRST_BOARD} {options}") == 0
    return json.loads(capsys.readouterr().out)


def test_a_margin(results: harness.Results, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--margin 2")["equivalence"]
    table = results.compare("sat", "lrat", dataset="digits", attack="pgd", margin=2)
    rows = [row for row in table if row["margin_points"] is not None]
    assert [row["level"] for row in rows] == ["methods", *["images"] * 5]
    for row, expected in zip(rows, [found["methods"], *found["networks"]], strict=True):
        assert (row["unit"], row["units"]) == (expected["unit"], expected["n"])
        assert (row["p_not_worse"], row["p_not_better"]) == (expected["p_not_worse"], expected["p_not_better"])
    bare = results.compare("sat", "lrat", dataset="digits", attack="pgd")
    assert {row["margin_points"] for row in bare} == {None}


def test_power(results: harness.Results, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--power --points 1.5")["power"]
    table = results.power("sat", "lrat", dataset="digits", attack="pgd", points=1.5)
    told = [
        ("seeds", row["true_points"], row["seeds_a_method"], row["most_seeds_a_method"], row["comparisons"])
        for row in table
    ]
    expected = [
        ("seeds", row["difference"], row["seeds"], row["most_seeds"], row["comparisons"])
        for row in (*found["smallest"], *found["needed"])
    ]
    assert told == expected
    assert [row["given"] for row in table] == ["seeds", "seeds", "difference", "difference"]
    assert {row["deviation_points"] for row in table} == {found["deviation"]}
    assert {row["units"] for row in table} == {5}
    for side in ("first", "second"):
        assert {row[f"{side}_test_set_share"] for row in table} == {found[f"{side}_variance"]["test_set_share"]}
        assert {row[f"{side}_share_high"] for row in table} == {found[f"{side}_variance"]["interval"]["high"]}


@pytest.mark.parametrize("margin", [0, "1", float("nan"), 100])
def test_a_margin_that_is_none_is_refused(results: harness.Results, margin: Any) -> None:
    with pytest.raises(harness.HarnessError, match="is a difference in points"):
        results.compare("sat", "lrat", dataset="digits", margin=margin)


@pytest.mark.parametrize("points", [0, "1", [], [1, "a"], [float("nan")], None])
def test_points_that_are_none_are_refused(results: harness.Results, points: Any) -> None:
    if points is None:
        assert len(results.power("sat", "lrat", dataset="digits")) == 2 + 2 * 3
        return
    with pytest.raises(harness.HarnessError, match="name differences in points"):
        results.power("sat", "lrat", dataset="digits", points=points)
