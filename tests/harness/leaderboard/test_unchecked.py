"""Rows without a check that other rows had: their missing flag says nothing, and the board says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.leaderboard.board import Board
from harness.leaderboard.flags import Flag
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import render_json
from harness.leaderboard.tidy import tidy_rows
from harness.store.records import RunRecord
from tests.harness.leaderboard.golden import FORMATS
from tests.harness.leaderboard.held import ATTACKS, Held, evaluation, examined, finding, run

TEXTS = [name for name in FORMATS if not name.startswith(("board.csv", "board.json", "brief"))]
SAID = "not checked for logit-scale: gairat, sat; there a missing flag says nothing"


def of(number: int, method: str, *checks: str, **elsewhere: Any) -> RunRecord:
    """A run on whose last checkpoint these checks were made, and each of them passed."""
    held = examined(number, *(finding(check, "passed") for check in checks), **elsewhere)
    return replace(held, method=method)


def board(*runs: RunRecord) -> Board:
    (found,) = boards(Held(runs))
    return found


def unchecked(*runs: RunRecord) -> dict[str, tuple[str, ...]]:
    return {row.label: row.unchecked for row in board(*runs).rows}


def test_a_check_that_other_rows_had_is_named() -> None:
    older, newer = of(1, "sat", "zero-gradient"), of(2, "lrat", "zero-gradient", "logit-scale", "loss-falls")
    assert unchecked(older, newer) == {"sat": ("logit-scale", "loss-falls"), "lrat": ()}


def test_a_check_that_no_row_had_is_not_and_nor_is_a_row_that_was_not_examined() -> None:
    bare = run(3, evaluation("autoattack", 50), method="trades", train_seed=3)
    same = of(1, "sat", "zero-gradient"), of(2, "lrat", "zero-gradient")
    assert unchecked(*same, bare) == {"sat": (), "lrat": (), "trades": ()}


def test_one_network_without_the_check_is_enough_and_flags_are_counted_over_the_others() -> None:
    newer = examined(2, finding("logit-scale", mark="H"), finding("zero-gradient", "passed"))
    (row,) = board(of(1, "sat", "zero-gradient"), newer, of(3, "sat", "zero-gradient", "logit-scale")).rows
    assert row.unchecked == ("logit-scale",)
    assert row.flags == (Flag("H", "logit-scale", 1, 2, "why logit-scale"),)


def test_an_examination_of_other_images_or_of_another_kind_does_not_count() -> None:
    newer = of(2, "lrat", "logit-scale")
    assert unchecked(of(1, "sat", "logit-scale", examples=100), newer)["sat"] == ()  # not examined at all
    assert unchecked(of(1, "sat", "gap", kind="verdicts", attacks=ATTACKS), newer) == {
        "sat": ("logit-scale",),
        "lrat": ("gap",),
    }


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_says_so_once_for_all_rows_alike(name: str) -> None:
    runs = of(1, "sat", "gap"), of(2, "lrat", "gap", "logit-scale"), of(3, "gairat", "gap")
    assert " ".join(FORMATS[name]([board(*runs)]).split()).count(SAID) == 1
    assert "not checked" not in FORMATS[name]([board(*runs[1:2])])


def test_data_formats_name_the_checks_of_each_row() -> None:
    found = board(of(1, "sat", "gap"), of(2, "lrat", "gap", "logit-scale", "noise"))
    named = {line["method"]: line["unchecked"] for line in tidy_rows([found])}
    assert named == {"sat": "logit-scale noise", "lrat": ""}
    assert '"unchecked": [\n' in render_json([found])
