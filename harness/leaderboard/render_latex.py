"""The leaderboard in LaTeX: a table for each board, which compiles alone, or inside a paper.

The best figures of each column are bold, rows that do not differ from the best are marked, and a note below says what
each figure and mark is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.errors import listed
from harness.leaderboard.board import Board, Row
from harness.leaderboard.cells import (
    cell_text,
    cells,
    failed_lines,
    flag_lines,
    full_name,
    header,
    heading,
    in_words,
    shared,
    spread_lines,
    tie_mark,
    wilson_lines,
)
from harness.leaderboard.columns import WORST_CASE, title_of
from harness.leaderboard.latex_text import latex
from harness.leaderboard.legend import answer, legend, notes, unchecked
from harness.reference import lrat_paper

BEGIN = r"""% Compiles as it is. In a paper: put \usepackage{booktabs} and \usepackage{graphicx} into the preamble,
% and \input this file, or copy its tables.
\expandafter\ifx\csname @nodocument\endcsname\relax\else
\documentclass{article}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
\def\harnessalone{\end{document}}
\fi"""
END = r"\ifdefined\harnessalone\expandafter\harnessalone\fi"
_PAGE = 68  # characters of a line of a table in \\small that fit a page of the class article
_WORDS = ("method", "network", "checkpoint")


def render_latex(boards: Sequence[Board], *, paper: bool = False, worst_case: bool = True, bibtex: str = "") -> str:
    """A document whose tables can be taken into a paper.

    Args:
        paper: lay the tables out like those of Gao et al. 2021: the networks below each other, the checkpoints of a
            method side by side, and neither ranks nor flags as columns.
        worst_case: show the worst case, which those tables do not have.
        bibtex: entries to add as comments, since LaTeX reads them from a file of their own.
    """
    tables = [
        _table(board, _paper(board, worst_case), _counts(board)) if paper else _table(board, _ranked(board))
        for board in boards
    ]
    comments = ["\n".join(f"% {line}".rstrip() for line in bibtex.splitlines())] if bibtex else []
    return "\n\n".join([BEGIN, *tables, *comments, END])


def _table(board: Board, body: Iterable[str], counts: Iterable[str] = ()) -> str:
    """A table with its caption and its legend.

    Args:
        counts: lines of what the body does not say.
    """
    common = "".join(in_words(name, value, "; ") for name, value in shared(board, header(board)[:-1]).items())
    spreads = [*wilson_lines(board), *spread_lines(board)]
    below = [
        answer(board),
        *legend([board]),
        *counts,
        *spreads,
        *failed_lines(board),
        *flag_lines(board),
        *unchecked(board),
    ]
    below += notes([board])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{latex(heading(board) + common)}}}",
            *_fitted(list(body)),
            r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize\raggedright",
            "\\\\\n".join(map(latex, below)),
            r"\end{minipage}",
            r"\end{table}",
        ]
    )


def _counts(board: Board) -> Iterator[str]:
    """How many attack seeds and networks each row has, where the rows differ, for a table without these columns."""
    names = header(board)
    common = shared(board, names)
    for name, title in (("n", "n, attack seeds"), ("networks", "networks a row")):
        held: dict[str, list[str]] = {}
        for row in board.rows:
            held.setdefault(cells(board, row)[names.index(name)], []).append(full_name(board, row))
        if name not in common:
            yield f"{title}: {'; '.join(f'{count} for {listed(rows, len(rows))}' for count, rows in held.items())}"


def _fitted(body: list[str]) -> list[str]:
    """A table that is likely wider than a page, made as wide as the text."""
    widest = max(len(re.sub(r"\\[a-z]+|[{}$&\\]", "", line)) for line in body)
    return [r"\resizebox{\linewidth}{!}{%", *body[:-1], f"{body[-1]}}}"] if widest > _PAGE else body


def _ranked(board: Board) -> Iterator[str]:
    """One line a row, as in every other format."""
    names = header(board)[:-1]
    common = shared(board, names)
    shown = [name for name in names if name not in common]
    yield rf"\begin{{tabular}}{{{''.join('l' if name in _WORDS else 'r' for name in shown)}}}"
    yield from (r"\toprule", _line(map(latex, shown)), r"\midrule")
    rivals = () if board.by_seed else board.ranked
    for row in board.rows:
        texts = {name: latex(text) for name, text in zip(header(board), cells(board, row), strict=True)}
        figures = {title_of(c): _figure(row, c, rivals) for c in board.filled}
        yield _line((texts | figures)[name] for name in shown)
    yield from (r"\bottomrule", r"\end{tabular}")


def _paper(board: Board, worst_case: bool) -> Iterator[str]:
    """The networks below each other, the checkpoints side by side."""
    columns = [c for c in board.filled if worst_case or c != WORST_CASE] or list(board.filled)
    checkpoints = sorted({row.checkpoint for row in board.rows}, key=lambda name: (name != "early", name))
    networks = list(dict.fromkeys(row.arch_label for row in board.rows))
    side_by_side = len(checkpoints) > 1
    width = 1 + len(columns) * len(checkpoints)
    yield rf"\begin{{tabular}}{{l{'c' * (width - 1)}}}"
    yield r"\toprule"
    spans = [_span(len(checkpoints), latex(lrat_paper.TITLES.get(c, title_of(c)))) for c in columns]
    yield _line(["Methods", *spans])
    for network in networks:
        yield r"\midrule"
        if len(networks) > 1:
            yield from (_line([_span(width, latex(network))]), r"\midrule")
        if side_by_side:
            yield from (_line(["Checkpoint", *map(latex, checkpoints * len(columns))]), r"\midrule")
        for label, at in _lines(row for row in board.rows if row.arch_label == network):
            places = [(column, place) for column in columns for place in checkpoints]
            yield _line([label, *(_beside(board, at[p], column) if p in at else "-" for column, p in places)])
    yield from (r"\bottomrule", r"\end{tabular}")


def _lines(rows: Iterable[Row]) -> Iterator[tuple[str, dict[str, Row]]]:
    """The rows of a network as lines: a name, and checkpoint -> row. Two rows of one name and checkpoint stay two."""
    lines: list[tuple[str, dict[str, Row]]] = []
    for row in rows:
        name = latex(row.label) + ("" if row.trained_here else "$^{\\dagger}$")
        free = next((at for said, at in lines if said == name and row.checkpoint not in at), None)
        if free is None:
            lines.append((name, free := {}))
        free[row.checkpoint] = row
    return iter(lines)


def _beside(board: Board, row: Row, column: str) -> str:
    """A figure in the paper's layout: bold if the best of its network and checkpoint; ``tie_mark``, and flags."""
    rivals = [r for r in board.ranked if (r.arch_label, r.checkpoint) == (row.arch_label, row.checkpoint)]
    text = _figure(row, column, rivals)
    if column != board.ranked_by:
        return text
    raised = latex(row.marks or "")
    return f"{text} {latex(tie_mark(row))}".rstrip() + (f"\\textsuperscript{{{raised}}}" if raised else "")


def _figure(row: Row, column: str, rivals: Sequence[Row]) -> str:
    """A figure, bold if it prints like the best of the rivals' in this column."""
    text = cell_text(row, column)
    if text == "-":
        return "-"
    centre, _, std = text.partition(" ± ")
    values = [value for rival in rivals if (value := rival.value(column)) is not None]
    bold = bool(values) and centre == f"{max(values):.2f}"
    centre = rf"\textbf{{{centre}}}" if bold else centre
    return centre + (rf" $\pm$ {std}" if std else "")


def _span(columns: int, text: str) -> str:
    return text if columns == 1 else rf"\multicolumn{{{columns}}}{{c}}{{{text}}}"


def _line(texts: Iterable[str]) -> str:
    return " & ".join(texts) + r" \\"
