"""A row that stands below the best row, and that the test finds better: the test counts only what both rows share."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.cli.console import PIPE_WIDTH
from harness.leaderboard.board import Board
from harness.leaderboard.legend import SHARED
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import render_markdown
from harness.site.boards import _about_ties
from tests.harness.leaderboard.held import Held, evaluation, run
from tests.harness.leaderboard.rendered import printed

FIRST = {0: 140, 1: 142, 2: 143, 3: 180, 4: 181, 5: 182, 6: 183}  # training seed -> right, of 200 images
BELOW = {0: 146, 1: 148, 2: 150}


@pytest.fixture
def board() -> Board:
    runs = [
        run(10 * place + seed, evaluation("autoattack", count), method=method, train_seed=seed)
        for place, (method, counts) in enumerate({"first": FIRST, "below": BELOW}.items(), 1)
        for seed, count in counts.items()
    ]
    (found,) = boards(Held(runs))
    return found


def test_the_ranks_and_the_test_point_to_different_rows(board: Board) -> None:
    assert [(row.rank, row.label) for row in board.rows] == [(1, "first"), (2, "below")]
    found = board.rows[1].versus_best
    assert found is not None
    assert (found.test, found.n) == ("paired t", 3)
    assert found.difference == pytest.approx((3 + 3 + 3.5) / 3)
    assert found.significant
    assert [row.beats_best for row in board.rows] == [False, True]


def test_the_answer_names_the_row(board: Board) -> None:
    said = f"; ↑ ranked below it, but better by the test: below ({SHARED})."
    for text in (printed([board], PIPE_WIDTH), render_markdown([board])):
        assert said in " ".join(text.split())
        assert "2 ↑" in text
        assert "no row ties" not in text
    assert "$\\uparrow$ ranked below it, but better by the test: below" in render_latex([board])
    assert "74.00 $\\uparrow$" in render_latex([board], paper=True)
    assert f"↑ significantly better than the best row in the column that ranks: {SHARED}" in render_markdown([board])
    (about,) = _about_ties(board, board.rows[1])
    assert about.startswith("↑ Is significantly better than the best row in autoattack: +3.17 points")


def test_json_has_the_difference(board: Board) -> None:
    row = json.loads(render_json([board]))["rows"][1]
    assert (row["tied"], row["versus_best"]["significant"]) == (False, True)
    assert row["versus_best"]["difference"] > 0


def test_a_worse_row_is_not_marked(board: Board) -> None:
    """The same test with its sign turned is that of an ordinary row."""
    below = board.rows[1]
    assert below.versus_best is not None
    worse = replace(below, versus_best=replace(below.versus_best, difference=-below.versus_best.difference))
    told = render_markdown([replace(board, rows=(board.rows[0], worse), ranking=())])
    assert "no row ties with it" in told
    assert "↑" not in told
