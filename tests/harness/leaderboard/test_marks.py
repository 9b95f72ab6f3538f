"""Ties, flags, and intervals, as each format shows them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from harness.cli.console import PIPE_WIDTH
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_markdown import render_markdown
from harness.statistics.figures import wilson
from tests.harness.leaderboard.rendered import (
    BOARDS,
    FLAGGED,
    MEASURED_BOARD,
    REPORTED_BOARD,
    TIED_BOARD,
    printed,
    table_rows,
)


class TestTies:
    def test_a_tied_row_is_marked_in_words(self) -> None:
        rule = "≈ not significantly different from the best row in the column that ranks: paired t over training seeds"
        for text in (printed([TIED_BOARD], PIPE_WIDTH, explained=True), render_markdown([TIED_BOARD])):
            assert "2 ≈" in text
            assert rule in " ".join(text.split())
        short = printed([TIED_BOARD], PIPE_WIDTH)
        assert "2 ≈" in short
        assert "; ≈ tied with it: near; not tested against it: unlike." in short
        assert short.count("≈") == 2  # the row, and the answer
        assert "≈" not in printed(BOARDS, PIPE_WIDTH)

    def test_json_has_the_test_behind_the_mark(self) -> None:
        rows = json.loads(render_json([TIED_BOARD]))["rows"]
        assert [row["tied"] for row in rows] == [False, True, False, None]
        shared = {"test": "McNemar", "unit": "test images", "n": 200, "difference": -2.0, "interval": None}
        assert rows[1]["versus_best"] == {**shared, "p": 0.25, "p_holm": 0.5, "significant": False}
        interval = {"kind": "t", "level": 0.95, "unit": "training seeds", "n": 3, "low": -22.0, "high": -18.0}
        assert rows[2]["versus_best"]["interval"] == interval
        assert [row["rank"] for row in rows] == [1, 2, 3, 4]

    def test_csv(self) -> None:
        lines = list(csv.DictReader(io.StringIO(render_csv([TIED_BOARD]))))
        assert [line["tied"] for line in lines] == ["False", "True", "False", ""]


class TestFlags:
    LINES = (
        "Z sat: zero-gradient on 1 of 2 networks, such as: no gradient",
        "A sat: gap on 2 of 2 networks, such as: a gap",
        "W theirs †: autoattack-random: it draws",
    )

    @pytest.mark.parametrize("width", [80, 300])
    def test_a_table_tells_each_with_its_reason(self, width: int) -> None:
        text = printed([FLAGGED], width, explained=True)
        assert [line for line in text.splitlines() if line in self.LINES] == list(self.LINES)

    def test_without_the_reasons_each_is_named_with_its_rows(self) -> None:
        lines = printed([FLAGGED], 80).splitlines()
        assert [line.rstrip() for line in lines if line.startswith("flag ")] == [
            "flag Z, zero-gradient: sat",
            "flag A, gap: sat",
            "flag W, autoattack-random: theirs †",
        ]
        assert "† not trained under the protocol: a model from elsewhere" in lines

    def test_so_does_markdown_and_rows_without_one_say_whether_they_were_examined(self) -> None:
        text = render_markdown([FLAGGED])
        assert [part for part in text.split("\n\n") if part in self.LINES] == list(self.LINES)
        names, _, *rows = table_rows(text)
        assert [row[names.index("flags")] for row in rows] == ["none", "ZA", "W", "-"]
        assert "flags" not in table_rows(render_markdown([MEASURED_BOARD]))[0]

    def test_json_has_them_whole(self) -> None:
        rows = json.loads(render_json([FLAGGED]))["rows"]
        zero, gap = rows[1]["flags"]
        assert zero == {"mark": "Z", "check": "zero-gradient", "networks": 1, "of": 2, "reason": "no gradient"}
        assert gap["check"] == "gap"
        assert [rows[0]["flags"], rows[3]["flags"]] == [[], None]


class TestIntervals:
    def test_csv_has_both_kinds_under_their_names(self) -> None:
        lines = {
            (line["method"].split()[0], line["attack"]): line
            for line in csv.DictReader(io.StringIO(render_csv(BOARDS)))
        }
        pgd, natural, reported = lines["lrat", "pgd"], lines["sat", "natural"], lines["sat", "pgd"]
        expected = wilson(100.0, 360)
        assert (float(pgd["wilson_low_percent"]), float(pgd["wilson_high_percent"])) == (expected.low, expected.high)
        half = 4.302652729911275 * 0.35 / 3**0.5
        assert float(pgd["train_t_low_percent"]) == pytest.approx(99.5 - half)
        assert float(pgd["train_t_high_percent"]) == pytest.approx(99.5 + half)
        assert natural["train_t_low_percent"] == ""
        assert reported["wilson_low_percent"] == ""  # the last line of that name is the paper's

    @pytest.mark.parametrize("width", [80, 100, PIPE_WIDTH])
    def test_a_table_tells_every_interval_at_every_width(self, width: int) -> None:
        text = " ".join(printed([MEASURED_BOARD], width, intervals=True).split())
        for row in MEASURED_BOARD.rows:
            for figure in row.metrics.values():
                if figure is not None:
                    found = wilson(figure.median, 360)
                    assert f"[{found.low:.1f}, {found.high:.1f}]" in text

    def test_the_legend_says_n_and_kind(self) -> None:
        for text in (printed(BOARDS, PIPE_WIDTH, explained=True), render_markdown(BOARDS)):
            words = " ".join(text.split())
            assert "95 % Wilson interval, n = 360" in words
            assert "mean ± standard deviation and 95 % t-interval over n networks" in words
            assert "with every attack seed (natural 1, pgd 5, cw 4, autoattack 5); it falls with more seeds" in words
        reported = render_markdown([REPORTED_BOARD])
        assert "Wilson" not in reported
        assert "worst case" not in reported
