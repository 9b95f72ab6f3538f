"""Markdown and the terminal's table: cells by hand, and every figure whole."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from harness.cli.console import PIPE_WIDTH
from harness.leaderboard.board import MEASURED, Board
from harness.leaderboard.cells import figure_text, seeds_text
from harness.leaderboard.render_markdown import render_markdown
from harness.leaderboard.render_table import render_table
from harness.plugin.images import Images
from harness.statistics.figures import Figure
from tests.harness.leaderboard.rendered import (
    BOARDS,
    COLUMNS,
    MEASURED_BOARD,
    REPORTED_BOARD,
    SPREAD,
    TITLES,
    both,
    every_figure,
    make_row,
    printed,
    table_rows,
    tables_alone,
)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(78.888, 0.118, 5), "78.89 ± 0.12"),
        (Figure(100.0, 0.0, 5), "100.00 ± 0.00"),
        (Figure(0.0, None, 1), "0.00"),
        (None, "-"),
    ],
    ids=str,
)
def test_a_cell_by_hand(figure: Figure | None, text: str) -> None:
    assert figure_text(figure) == text


def test_the_number_of_attack_seeds_is_a_range_where_figures_differ() -> None:
    assert seeds_text(make_row()) == "5"  # natural accuracy has one, which is all there is
    one = {"natural": Figure(99.0, None, 1), "pgd": Figure(50.0, 0.1, 5), "autoattack": Figure(40.0, None, 1)}
    assert seeds_text(make_row(metrics=one)) == "1-5"  # the figure that ranks has one
    assert seeds_text(make_row(metrics=SPREAD)) == "4-5"
    assert seeds_text(make_row(metrics={"pgd": Figure(50.0, None, 1)})) == "1"
    assert seeds_text(make_row(metrics={"pgd": None})) == "1"


class TestMarkdown:
    def test_tables_are_well_formed(self) -> None:
        text = render_markdown(BOARDS)
        first, second = (table_rows(part) for part in text.split("**svhn, reported"))
        for rows in (first, second):
            assert {len(row) for row in rows} == {len(rows[0])}
            assert set(rows[1]) == {"---"}
        assert first[0] == ["rank", "method", "network", "checkpoint", *TITLES, "n", "networks", "source"]
        figures = ["33.33 [28.7, 38.4]", "55.50 ± 0.12 [50.3, 60.5]", "54.25 ± 0.00 [49.1, 59.3]", "-", "-"]
        assert first[3] == ["-", "sat", "smallcnn", "last", *figures, "5", "1", "measured"]
        assert second[2][-1] == "reported"

    def test_a_table_stands_between_empty_lines(self) -> None:  # else it is a paragraph
        lines = ["", *render_markdown(BOARDS).splitlines(), ""]
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
            if line.startswith("| rank"):
                assert before == ""
            if line.startswith("|") and not after.startswith("|"):
                assert after == ""

    def test_a_pipe_in_a_label_does_not_end_its_cell(self) -> None:
        row = make_row(settings={"mode": "a|b"})
        board = Board("digits", MEASURED, "tiny", "f" * 64, Images(9), COLUMNS, (row,), ranked_by=COLUMNS[-1])
        rows = table_rows(render_markdown([board]))
        assert {len(row) for row in rows} == {len(rows[0])}
        assert rows[2][1] == "sat mode=a|b"

    def test_spreads_notes_and_what_the_figures_are(self) -> None:
        text = render_markdown(BOARDS)
        told = (
            "over 3 training seeds: natural 98.10 ± 0.20 [97.6, 98.6], pgd 99.50 ± 0.35 [98.6, 100.4],"
            " cw 0.25 ± 0.50 [-1.0, 1.5], autoattack 66.50 ± 0.10 [66.3, 66.7], worst case 40.50 ± 0.50 [39.3, 41.7]"
        )
        assert f"lrat kappa=5.0 floor=natural+awp gamma=0.01 (smallcnn width=4) {told}" in text
        assert "sat over" not in text
        assert text.count("sat smallcnn: pgd: probably a misprint") == 1
        assert text.count("median ± standard deviation over n attack seeds") == 1

    def test_nothing_is_nothing(self) -> None:
        assert render_markdown([]) == ""


class TestTable:
    @pytest.mark.parametrize("chosen", [pair[1] for pair in both()], ids=[pair[0] for pair in both()])
    def test_at_80_columns_every_figure_is_whole(self, chosen: Sequence[Board]) -> None:
        text = printed(chosen, 80)
        assert all(len(line) <= 80 for line in text.splitlines())
        assert "…" not in text
        expected = sorted(figure_text(figure) for *_, figure in every_figure(chosen))
        cells = re.findall(r"(?<![\d.=])\d+\.\d\d(?: ± \d+\.\d\d)?(?![\d.])", tables_alone(text))
        assert sorted(cells) == expected

    def test_each_row_shows_its_own_figures(self) -> None:
        (line,) = [line for line in printed([MEASURED_BOARD], PIPE_WIDTH).splitlines() if " sat " in line]
        assert " ".join(line.split()) == "- sat smallcnn 33.33 55.50 ± 0.12 54.25 ± 0.00 - - 5 1"

    def test_what_all_rows_share_is_told_once_above(self) -> None:
        text = " ".join(printed([REPORTED_BOARD], PIPE_WIDTH).split())
        assert "svhn, reported by Someone 2020 (not measured here)" in text
        assert "; network smallcnn; checkpoint last; n = 5 attack seeds" in text
        assert text.count("smallcnn") == 2  # above, and in the note
        assert "pgd: probably a misprint" in text

    def test_reported_rows_look_different_from_measured_ones(self) -> None:
        text = io.StringIO()
        console = Console(file=text, width=PIPE_WIDTH, force_terminal=True, color_system="standard", no_color=False)
        for part in render_table(BOARDS, console):
            console.print(part)
        measured, reported = (
            next(line for line in text.getvalue().splitlines() if figure in line) for figure in ("54.25", " 92.38")
        )
        assert "\x1b[2;3m" in reported  # dim, italic
        assert "\x1b[2;3m" not in measured

    def test_where_nothing_must_fit_the_heading_is_one_line(self) -> None:
        narrow = Board(
            "digits",
            MEASURED,
            "tiny",
            "f" * 64,
            Images(9),
            ("pgd",),
            (make_row(metrics={"pgd": None}),),
            ranked_by="pgd",
        )
        assert f"{narrow.heading}; network smallcnn" in printed([narrow], PIPE_WIDTH)

    def test_nothing_is_nothing(self) -> None:
        assert printed([], 80) == ""
