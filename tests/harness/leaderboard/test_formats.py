"""Each format of one fixed set of boards: what it was when it was looked at, and what each must hold by any means."""

from __future__ import annotations

import html.parser
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.leaderboard.board import Board, Selection
from harness.leaderboard.cells import figure_text
from harness.leaderboard.latex_text import latex
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_html import render_html
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import literal, render_markdown
from harness.reference import reported_figures
from harness.store.store import Store
from tests.first_board import FIRST_BOARD
from tests.harness.leaderboard.golden import FOLDER, FORMATS, HOSTILE, golden_boards, text_of
from tests.harness.leaderboard.held import Held
from tests.harness.leaderboard.rendered import FLAGGED, TIED_BOARD, printed, tables_alone

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_as_it_was_when_it_was_looked_at(name: str) -> None:
    assert text_of(name) == (FOLDER / name).read_text(encoding="utf-8"), (
        "python -m tests.harness.leaderboard.golden writes the files anew; read the difference"
    )


def figures_of(board: Board) -> list[list[str]]:
    """Every row's figures as texts, computed without the code of the formats."""
    return [[figure_text(row.metrics[column]) for column in board.columns] for row in board.rows]


class TestTerminal:
    @pytest.mark.parametrize("width", [48, 60, 80, 100, 120, 200])
    @pytest.mark.parametrize("detail", ["brief", "intervals", "explained"])
    def test_no_figure_is_cut_at_any_width(self, width: int, detail: str) -> None:
        text = printed(golden_boards(), width, **{detail: True})
        assert all(len(line) <= width for line in text.splitlines())
        assert "…" not in text
        found = re.findall(r"(?<![\d.=\[])\d+\.\d\d(?: ± \d+\.\d\d)?(?![\d.])", tables_alone(text))
        wanted = [t for board in golden_boards() for row in figures_of(board) for t in row if t != "-"]
        if detail == "brief":
            ranked = [(b.ranked_by, row) for b in golden_boards() for row in b.rows if row.rank is not None]
            wanted = [figure_text(row.metrics[column]) for column, row in ranked]
        assert sorted(set(wanted) - set(found)) == []

    def test_seven_methods_fit_one_screen_of_80_columns_with_the_answer_on_top(self) -> None:
        store = Store.read(str(FIRST_BOARD))
        (board,) = [board for board in boards(store) if board.dataset == "digits" and board.source == "measured"]
        lines = printed([board], 80).splitlines()
        assert len(board.rows) == 7
        assert len(lines) <= 22  # of 24, beside the command and the next prompt
        assert any(line.startswith("Best under autoattack: sat, ") for line in lines[:3])
        assert [line for line in lines if line.startswith("flag A")] == ["flag A, autoattack-gap: gairat, gair-trades"]
        for row in board.rows:
            (line,) = [line for line in lines if re.search(rf"^ +\d( ≈)? +{row.label} ", line)]
            cells = [figure_text(row.metrics[c]).replace(" ", "") for c in board.columns]
            assert line.split()[-len(cells) - 1 : -1] == cells

    def test_nothing_at_all(self) -> None:
        assert printed([], 80) == ""


class Page(html.parser.HTMLParser):
    """The elements of a page; fails where they do not nest."""

    VOID = ("meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        self.text += data


class TestHtml:
    def test_a_page_is_made_of_tables_and_nothing_of_a_name_runs(self) -> None:
        page = Page(render_html(golden_boards(), bibtex="@misc{<b>}"))
        names = {tag for tag, _ in page.tags}
        assert names.isdisjoint({"script", "b", "img", "link", "iframe"})
        assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on") or key == "src"]
        assert sum(tag == "caption" for tag, _ in page.tags) == len(page.tables) == 2
        heads = [attributes for tag, attributes in page.tags if tag == "th"]
        assert {attributes["scope"] for attributes in heads} == {"col", "row"}
        assert "<script>alert(1)</script>" in page.text
        assert "@misc{<b>}" in page.text

    def test_every_figure_stands_in_its_row_and_column(self) -> None:
        for table, board in zip(Page(render_html(golden_boards())).tables, golden_boards(), strict=True):
            head, *rows = table
            first = head.index("natural")
            assert [row[first : first + len(board.columns)] for row in rows] == figures_of(board)


def test_markdown_does_not_act_on_a_name() -> None:
    text = render_markdown(golden_boards())
    bare = re.sub(r"\\[\\`*<>$~\]_|#+-]", "", text)  # what is left after the escaped characters
    assert "<script" not in bare
    assert "](" not in bare
    assert "`" not in bare
    assert literal("alpha_pgd=1 [60.5, 70.3] lrat-trades 50 % ± 1") == "alpha_pgd=1 [60.5, 70.3] lrat-trades 50 % ± 1"
    assert literal("# a") == "\\# a"
    assert literal("1. a") == "1\\. a"
    assert literal("_a_") == "\\_a\\_"


class TestLatexText:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("a_b & 50% #1 $x$ {y}", r"a\_b \& 50\% \#1 \$x\$ \{y\}"),
            ("\\input{x}", r"\textbackslash{}input\{x\}"),
            ("~^|<>", r"\textasciitilde{}\textasciicircum{}\textbar{}\textless{}\textgreater{}"),
            ("72.78 ± 0.67 ≈ †", r"72.78 $\pm$ 0.67 $\approx$ $\dagger$"),
            ("a--b---c,,''", "a-{}-b-{}-{}-c,{},'{}'"),
            ("[x] *y*", "{}[x] *y*"),
            ("*", "{}*"),
            ("é Å ñ ç ł ß", r"\'{e} \r{A} \~{n} \c{c} \l{} \ss{}"),
            ("ε λ", r"$\epsilon$ $\lambda$"),
            ("a网", "a[U+7F51]"),
            ("a\nb\x00", r"a\textbackslash{}nb\textbackslash{}x00"),
        ],
    )
    def test_by_hand(self, text: str, code: str) -> None:
        assert latex(text) == code

    def test_it_is_ascii_and_its_braces_balance(self) -> None:
        for letter in [*map(chr, range(32, 0x600)), *HOSTILE]:
            code = latex(f"{letter}{letter} x")
            assert code.isascii()
            assert code.replace("\\{", "").count("{") == code.replace("\\}", "").count("}")


def compiled(folder: Path, text: str) -> None:
    (folder / "board.tex").write_text(text, encoding="utf-8")
    paper = "\\documentclass{article}\\usepackage{booktabs}\\usepackage{graphicx}\\begin{document}\n%s\n\\end{document}"
    (folder / "paper.tex").write_text(paper % "before \\input{board} after", encoding="utf-8")
    for name in ("board", "paper"):
        command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=60)
        assert ended.returncode == 0, ended.stdout[-2000:]
        assert (folder / f"{name}.pdf").stat().st_size > 1000


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
class TestLatexCompiled:
    @pytest.mark.parametrize("paper", [False, True], ids=["board", "paper"])
    def test_alone_and_inside_a_paper(self, tmp_path: Path, paper: bool) -> None:
        compiled(tmp_path, render_latex([*golden_boards(), TIED_BOARD, FLAGGED], paper=paper, bibtex="@misc{a,\n}"))

    def test_every_letter(self, tmp_path: Path) -> None:
        letters = [chr(number) for number in (*range(32, 0x180), *range(0x370, 0x400), *range(0x2010, 0x2030))]
        lines = [latex(letter) + " " + latex(f"{letter}{letter}") for letter in letters]
        text = "\\documentclass{article}\\begin{document}\n" + "\n\n".join(lines) + "\n\\end{document}\n"
        (tmp_path / "letters.tex").write_text(text, encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "letters.tex"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60)
        assert ended.returncode == 0, ended.stdout[-2000:]


def latex_rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r" \\"))]
        for line in text.splitlines()
        if line.endswith(r" \\")
    ]


class TestLatexTables:
    def test_every_figure_stands_in_its_row_and_the_best_of_each_column_is_bold(self) -> None:
        for board in golden_boards():
            head, *rows = latex_rows(render_latex([board]))
            first = head.index("natural")
            cells = [row[first : first + len(board.columns)] for row in rows]
            plain = [[re.sub(r"\\textbf{(.*?)}", r"\1", c).replace(r" $\pm$ ", " ± ") for c in row] for row in cells]
            assert plain == figures_of(board)
            for number, column in enumerate(board.columns):
                values = [row.value(column) for row in board.rows]
                best = max(value for value in values if value is not None)
                assert ["\\textbf" in row[number] for row in cells] == [value == best for value in values]

    def test_ties_and_flags_are_marked_and_explained(self) -> None:
        text = render_latex([TIED_BOARD])
        assert [row[0] for row in latex_rows(text)] == ["rank", "1", r"2 $\approx$", "3", "4"]
        assert r"$\approx$ not significantly different from the best row" in text
        flagged = render_latex([FLAGGED])
        assert [row[-1] for row in latex_rows(flagged)] == ["flags", "none", "ZA", "W", "-"]
        assert r"Z sat: zero-gradient on 1 of 2 networks, such as: no gradient\\" in flagged

    def test_a_best_row_that_is_hidden_leaves_no_other_bold(self) -> None:
        text = render_latex(golden_boards(Selection(source="measured", methods=("trades",))))
        assert "textbf" not in text
        assert "1 of 7 rows are shown" in text


class TestThePapersLayout:
    def table(self, number: str) -> list[list[str]]:
        figures = [f for f in reported_figures() if (f.paper, f.paper_table) == ("Gao et al. 2021", number)]
        return latex_rows(render_latex(boards(Held([], (), figures)), paper=True, worst_case=False))

    def test_table_2_with_both_checkpoints_side_by_side(self) -> None:
        rows = self.table("2")
        assert rows[0] == [
            "Methods",
            *(rf"\multicolumn{{2}}{{c}}{{{name}}}" for name in ("Natural", "PGD", "CW", "AA")),
        ]
        start = rows.index([r"\multicolumn{9}{c}{resnet18}"])
        assert rows[start + 1] == ["Checkpoint", *["early", "last"] * 4]
        found = {row[0]: [cell.replace(r" $\pm$ ", " ± ") for cell in row[1:]] for row in rows[start + 2 : start + 5]}
        # as printed in the paper, the bold figures too: * stands for bold
        printed_there = {
            "trades": "*78.90 *83.15 53.26±0.17 52.62±0.19 51.74±0.16 50.38±0.18 48.15±0.12 47.80±0.11",
            "gair-trades": "78.55 82.19 *60.90±0.18 *58.17±0.13 43.39±0.16 41.27±0.19 35.29±0.14 33.24±0.18",
            "lrat-trades": "78.83 82.91 55.21±0.15 54.77±0.17 *52.97±0.23 *52.09±0.14 *48.24±0.19 *47.81±0.20",
        }
        assert found == {
            name: [re.sub(r"\*([\d.]+)", r"\\textbf{\1}", cell).replace("±", " ± ") for cell in line.split()]
            for name, line in printed_there.items()
        }

    def test_table_1_with_a_network_below_the_other(self) -> None:
        rows = self.table("1")
        assert rows[0] == ["Methods", "Natural", "PGD", "CW", "AA"]
        networks = [row[0] for row in rows if len(row) == 1]
        assert sorted(networks) == [r"\multicolumn{5}{c}{resnet18}", r"\multicolumn{5}{c}{wrn-32-10}"]
        assert len(rows) == 1 + 2 * (1 + 3)

    @pytest.mark.parametrize(("number", "methods"), [("4", 5), ("5", 3)])
    def test_tables_of_one_network_have_no_line_for_it(self, number: str, methods: int) -> None:
        assert [len(row) for row in self.table(number)] == [5] * (1 + methods)

    def test_two_rows_of_one_name_stay_two(self) -> None:
        rows = latex_rows(render_latex([golden_with_twins()], paper=True))
        assert sum(row[0] == "sat" for row in rows) == 2


def golden_with_twins() -> Board:
    (board, _) = golden_boards()
    first = board.rows[0]
    return replace(board, rows=(first, replace(first, runs=(9,))), ranking=())
