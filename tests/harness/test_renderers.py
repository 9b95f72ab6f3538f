"""The renderers: the same figures in every format, readable by the programs that rely on them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from harness.evaluation.images import Images
from harness.evaluation.intervals import Interval, wilson
from harness.evaluation.statistics import Figure, Spread
from harness.leaderboard.board import MEASURED, REPORTED, Board, Row, Selection
from harness.leaderboard.cells import figure_text, seeds_text
from harness.leaderboard.document import render_json
from harness.leaderboard.flags import Flag
from harness.leaderboard.markdown import render_markdown
from harness.leaderboard.pairs import Decision
from harness.leaderboard.ranking import boards
from harness.leaderboard.table import PIPE_WIDTH, render_table
from harness.leaderboard.values import render_csv
from harness.store.store import Store

COLUMNS = ("natural", "pgd", "cw", "autoattack", "worst_case")
TITLES = [*COLUMNS[:-1], "worst case"]


def make_row(method: str = "sat", rank: int | None = 1, **changes: Any) -> Row:
    values: dict[str, Any] = {
        "method": method,
        "settings": {},
        "wrappers": (),
        "arch": "smallcnn",
        "arch_settings": {},
        "checkpoint": "last",
        "train_seeds": 1,
        "metrics": {
            "natural": Figure(100 / 3, None, 1),
            "pgd": Figure(55.5, 0.125, 5),
            "cw": Figure(54.25, 0.0, 5),
            "autoattack": None,
            "worst_case": None,
        },
        "runs": (3,),
        "unseeded": frozenset({"natural"}),
        "rank": rank,
    }
    return Row(**(values | changes))


SPREAD = {
    "natural": Figure(98.0, None, 1, Spread(98.1, 0.2, 3)),
    "pgd": Figure(100.0, 100 / 7, 5, Spread(99.5, 0.35, 3)),
    "cw": Figure(0.0, 0.0, 4, Spread(0.25, 0.5, 3)),
    "autoattack": Figure(66.6, 0.07, 5, Spread(66.5, 0.1, 3)),
    "worst_case": Figure(40.0, None, 4, Spread(40.5, 0.5, 3)),
}
MEASURED_BOARD = Board(
    "digits",
    MEASURED,
    "tiny",
    "0123456789abcdef" * 4,
    Images(360),
    COLUMNS,
    (
        make_row(
            "lrat",
            settings={"kappa": 5.0, "floor": "natural"},
            wrappers=("awp gamma=0.01",),
            arch_settings={"width": 4},
            train_seeds=3,
            metrics=SPREAD,
            runs=(1, 2, 4),
            worst_case_seeds={"natural": 1, "pgd": 5, "cw": 4, "autoattack": 5},
        ),
        make_row("sat", None),
    ),
    ranked_by="autoattack",
)
REPORTED_BOARD = Board(
    "svhn",
    REPORTED,
    "Someone 2020",
    "Someone 2020",
    None,
    ("natural", "pgd"),
    (
        make_row(
            train_seeds=None,
            metrics={"natural": Figure(92.38, None, 1), "pgd": Figure(55.97, 0.18, 5)},
            notes=("pgd: probably a misprint",),
            runs=(),
        ),
    ),
)
BOARDS = [MEASURED_BOARD, REPORTED_BOARD]


def over_images(percent: float) -> dict[str, Any]:
    """Wilson's interval over the 360 images as JSON."""
    found = wilson(percent, 360)
    return {"kind": "wilson", "level": 0.95, "unit": "test images", "n": 360, "low": found.low, "high": found.high}


def over_seeds(mean: float, std: float) -> dict[str, Any]:
    """The t-interval over three seeds as JSON: the 97.5 % point with 2 degrees of freedom is 4.3026527."""
    half = 4.302652729911275 * std / 3**0.5
    ends = {"low": pytest.approx(mean - half), "high": pytest.approx(mean + half)}
    return {"kind": "t", "level": 0.95, "unit": "training seeds", "n": 3, **ends}


def paper() -> list[Board]:
    return boards(Store.read("sqlite://"), Selection(protocol="Gao et al. 2021"))


def both() -> list[tuple[str, Sequence[Board]]]:
    return [("hand-made", BOARDS), ("paper", paper())]


def every_figure(chosen: Sequence[Board]) -> list[tuple[str, str, str, str, Figure]]:
    """Data set, source, row, attack, and figure of every figure there is."""
    return [
        (board.dataset, board.source, f"{row.label}, {row.arch_label}, {row.checkpoint}", attack, figure)
        for board in chosen
        for row in board.rows
        for attack, figure in row.metrics.items()
        if figure is not None
    ]


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


class TestJson:
    def test_a_row_is_what_was_promised(self) -> None:
        (first, second, third) = json.loads(render_json(BOARDS))["rows"]
        promised = {
            "dataset": "digits",
            "arch": "smallcnn",
            "method": "sat",
            "checkpoint": "last",
            "protocol": "tiny",
            "source": "measured",
            "train_seeds": 1,
            "metrics": {
                "natural": {"median": 100 / 3, "std": None, "n": 1, "interval": over_images(100 / 3)},
                "pgd": {"median": 55.5, "std": 0.125, "n": 5, "interval": over_images(55.5)},
                "cw": {"median": 54.25, "std": 0.0, "n": 5, "interval": over_images(54.25)},
                "autoattack": None,
                "worst_case": None,
            },
        }
        assert {key: second[key] for key in promised} == promised
        beside = {key: second[key] for key in second.keys() - promised.keys()}
        assert beside == {
            "arch_settings": {},
            "settings": {},
            "wrappers": [],
            "code": {},
            "protocol_fingerprint": "0123456789abcdef" * 4,
            "examples": 360,
            "sample": "first",
            "rank": None,
            "ranked_by": "autoattack",
            "tied": None,
            "versus_best": None,
            "notes": [],
            "runs": [3],
            "trained_under_protocol": True,
            "epsilon": None,
            "flags": None,
        }
        assert first["metrics"]["pgd"] == {
            "median": 100.0,
            "std": 100 / 7,
            "n": 5,
            "interval": over_images(100.0),
            "train": {"mean": 99.5, "std": 0.35, "n": 3, "interval": over_seeds(99.5, 0.35)},
        }
        assert first["metrics"]["worst_case"] == {
            "median": 40.0,
            "std": None,
            "n": 4,
            "interval": over_images(40.0),
            "train": {"mean": 40.5, "std": 0.5, "n": 3, "interval": over_seeds(40.5, 0.5)},
            "seeds": {"natural": 1, "pgd": 5, "cw": 4, "autoattack": 5},
        }
        assert (first["tied"], first["versus_best"], third["tied"]) == (False, None, None)
        assert "interval" not in third["metrics"]["pgd"]  # the paper does not say of how many images
        assert (first["settings"], first["wrappers"]) == ({"kappa": 5.0, "floor": "natural"}, ["awp gamma=0.01"])
        assert (first["arch_settings"], first["train_seeds"]) == ({"width": 4}, 3)
        assert (third["source"], third["train_seeds"], third["examples"]) == ("reported", None, None)
        assert third["notes"] == ["pgd: probably a misprint"]

    def test_nothing_is_an_empty_list_of_rows(self) -> None:
        assert json.loads(render_json([])) == {"rows": []}

    def test_every_figure_of_the_paper(self) -> None:
        chosen = paper()
        rows = json.loads(render_json(chosen))["rows"]
        assert {row["source"] for row in rows} == {"reported"}
        found = [(row["dataset"], row["method"], name, cell) for row in rows for name, cell in row["metrics"].items()]
        expected = [
            (board.dataset, row.method, name, {"median": figure.median, "std": figure.std, "n": figure.n})
            for board in chosen
            for row in board.rows
            for name, figure in row.metrics.items()
            if figure is not None
        ]
        assert found == expected
        assert len(found) == 104


class TestCsv:
    @pytest.mark.parametrize("chosen", [pair[1] for pair in both()], ids=[pair[0] for pair in both()])
    def test_it_parses_back_to_the_same_numbers(self, chosen: Sequence[Board]) -> None:
        lines = list(csv.DictReader(io.StringIO(render_csv(chosen))))
        found = []
        for line in lines:
            spread = line["train_mean_percent"]
            train = Spread(float(spread), float(line["train_std_percent"]), int(line["networks"])) if spread else None
            std = float(line["std_percent"]) if line["std_percent"] else None
            figure = Figure(float(line["median_percent"]), std, int(line["n"]), train)
            row = f"{line['method']}, {line['network']}, {line['checkpoint']}"
            found.append((line["dataset"], line["source"], row, line["attack"], figure))
        assert found == every_figure(chosen)

    def test_what_the_rows_share_is_on_each_line(self) -> None:
        line = next(csv.DictReader(io.StringIO(render_csv(BOARDS))))
        shared = {key: line[key] for key in ("protocol", "fingerprint", "examples", "rank", "networks")}
        assert shared == {
            "protocol": "tiny",
            "fingerprint": "0123456789abcdef" * 4,
            "examples": "360",
            "rank": "1",
            "networks": "3",
        }

    def test_a_label_with_a_comma_stays_one_field(self) -> None:
        (row,) = [line for line in csv.reader(io.StringIO(render_csv(paper()))) if "lrat[P,P+C]" in line][:1]
        assert len(row) == len(next(csv.reader(io.StringIO(render_csv([])))))


def table_rows(markdown: str) -> list[list[str]]:
    """The cells of every table line; a pipe after a backslash is text."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


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
        board = Board("digits", MEASURED, "tiny", "f" * 64, Images(9), COLUMNS, (make_row(settings={"mode": "a|b"}),))
        rows = table_rows(render_markdown([board]))
        assert {len(row) for row in rows} == {len(rows[0])}
        assert rows[2][1] == "sat mode=a|b"

    def test_spreads_notes_and_what_the_figures_are(self) -> None:
        text = render_markdown(BOARDS)
        told = (
            "over 3 training seeds: natural 98.10 ± 0.20 [97.6, 98.6], pgd 99.50 ± 0.35 [98.6, 100.4],"
            " cw 0.25 ± 0.50 [-1.0, 1.5], autoattack 66.50 ± 0.10 [66.3, 66.7], worst case 40.50 ± 0.50 [39.3, 41.7]"
        )
        assert f"lrat kappa=5.0 floor=natural+awp gamma=0.01 {told}" in text
        assert "sat over" not in text
        assert text.count("sat smallcnn: pgd: probably a misprint") == 1
        assert text.count("median ± standard deviation over n attack seeds") == 1

    def test_nothing_is_nothing(self) -> None:
        assert render_markdown([]) == ""


def printed(chosen: Sequence[Board], width: int) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width)
    for part in render_table(chosen, console):
        console.print(part)
    return text.getvalue()


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
            next(line for line in text.getvalue().splitlines() if figure in line) for figure in ("54.25", "92.38")
        )
        assert "\x1b[2;3m" in reported  # dim, italic
        assert "\x1b[2;3m" not in measured

    def test_where_nothing_must_fit_the_heading_is_one_line(self) -> None:
        narrow = Board("digits", MEASURED, "tiny", "f" * 64, Images(9), ("pgd",), (make_row(metrics={"pgd": None}),))
        assert f"{narrow.heading}; network smallcnn" in printed([narrow], PIPE_WIDTH)

    def test_nothing_is_nothing(self) -> None:
        assert printed([], 80) == ""


def tables_alone(text: str) -> str:
    """What stands below each table's rule, to the empty line that ends it."""
    lines, inside = [], False
    for line in text.splitlines():
        inside = (inside and bool(line.strip())) or "────" in line
        if inside:
            lines.append(line)
    return "\n".join(lines)


TIED_BOARD = Board(
    "digits",
    MEASURED,
    "tiny",
    "f" * 64,
    Images(200),
    ("pgd",),
    (
        make_row("best", 1, metrics={"pgd": Figure(60.0, None, 1)}),
        make_row(
            "near",
            2,
            metrics={"pgd": Figure(58.0, None, 1)},
            versus_best=Decision("McNemar", 200, -2.0, None, 0.25, 0.5),
        ),
        make_row(
            "far",
            3,
            metrics={"pgd": Figure(40.0, None, 1)},
            versus_best=Decision("paired t", 3, -20.0, Interval(-22.0, -18.0), 0.001, 0.002),
        ),
        make_row("unlike", 4, metrics={"pgd": Figure(30.0, None, 1)}),
    ),
    ranked_by="pgd",
)


class TestTies:
    def test_a_tied_row_is_marked_in_words(self) -> None:
        rule = "≈ not told apart from the best row in the column that ranks: paired t over training seeds"
        for text in (printed([TIED_BOARD], PIPE_WIDTH), render_markdown([TIED_BOARD])):
            assert "2 ≈" in text
            assert text.count("≈") == 2  # the row, and the legend
            assert rule in " ".join(text.split())
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


FLAGGED = dataclasses.replace(
    MEASURED_BOARD,
    rows=(
        make_row("lrat", flags=()),
        make_row("sat", 2, flags=(Flag("Z", "zero-gradient", 1, 2, "no gradient"), Flag("A", "gap", 2, 2, "a gap"))),
        make_row("theirs", 3, flags=(Flag("W", "autoattack-random", 1, 1, "it draws"),), trained_here=False),
        make_row("trades", 4),
    ),
)


class TestFlags:
    LINES = (
        "Z sat: zero-gradient on 1 of 2 networks, such as: no gradient",
        "A sat: gap on 2 of 2 networks, such as: a gap",
        "W theirs †: autoattack-random: it draws",
    )

    @pytest.mark.parametrize("width", [80, 300])
    def test_a_table_tells_each_with_its_reason(self, width: int) -> None:
        text = printed([FLAGGED], width)
        assert [line for line in text.splitlines() if line in self.LINES] == list(self.LINES)

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
        text = " ".join(printed([MEASURED_BOARD], width).split())
        for row in MEASURED_BOARD.rows:
            for figure in row.metrics.values():
                if figure is not None:
                    found = wilson(figure.median, 360)
                    assert f"[{found.low:.1f}, {found.high:.1f}]" in text

    def test_the_legend_says_n_and_kind(self) -> None:
        for text in (printed(BOARDS, PIPE_WIDTH), render_markdown(BOARDS)):
            words = " ".join(text.split())
            assert "95 % Wilson interval, n = 360" in words
            assert "mean ± standard deviation and 95 % t-interval over n networks" in words
            assert "with every attack seed (natural 1, pgd 5, cw 4, autoattack 5); it falls with more seeds" in words
        reported = render_markdown([REPORTED_BOARD])
        assert "Wilson" not in reported
        assert "worst case" not in reported
