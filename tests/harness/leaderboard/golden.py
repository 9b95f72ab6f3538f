"""One fixed set of boards, hostile names among them, and what each format made of it when it was last looked at.

``python -m tests.harness.leaderboard.golden`` writes the files anew; read the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.leaderboard.board import Board, Row, Selection
from harness.leaderboard.flags import Flag
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_html import render_html
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import render_markdown
from harness.reference import ReportedFigure
from harness.store.records import CheckpointRecord, EvaluationRecord, RunRecord
from tests.harness.leaderboard.held import PROTOCOL, Held, checkpoint, evaluation, model, run, seeds
from tests.harness.leaderboard.rendered import printed

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "leaderboard"
HOSTILE = (
    "<script>alert(1)</script> \\input{x} 50% & $y$ #1 a_b ~ ^ {z} | `t` \"q\" 'r' -- ,, *b* [l](javascript:0) _i_"
    "\n\x1b[31m\u202e é ω 网 \U0001f600 =1+1"
)


def _drawing(attack: str, *correct: int) -> list[EvaluationRecord]:
    """Evaluations by an attack that draws random numbers, one a seed."""
    return [replace(each, settings={"block_size": 4}) for each in seeds(attack, *correct)]


def _checkpoint(name: str, natural: int, *attacked: int) -> CheckpointRecord:
    return checkpoint(
        evaluation("natural", natural),
        *_drawing("pgd", *(count + 20 for count in attacked)),
        *_drawing("autoattack", *attacked),
        name=name,
        epoch=6 if name == "early" else 10,
    )


def _runs() -> list[RunRecord]:
    both = [_checkpoint("early", 180, 120, 118), _checkpoint("last", 190, 110, 112)]
    lrat = [_checkpoint("early", 176, 119, 119), _checkpoint("last", 184, 117, 116)]
    return [
        run(1, *both, train_seed=0),
        run(2, _checkpoint("early", 182, 122, 121), _checkpoint("last", 188, 108, 110), train_seed=1),
        run(
            3,
            *lrat,
            method="lrat",
            method_departures={"floor": "natural"},
            wrappers=[{"name": "awp", "departures": {}}],
        ),
        run(4, _checkpoint("last", 170, 60, 62), method="trades", network="resnet18"),
        run(5, checkpoint(evaluation("natural", 196)), method="standard"),
    ]


def store() -> Held:
    """A board with ties, several networks, another network, two checkpoints, a model of a hostile name; and a paper."""
    cells = [("sat", "natural", 92.0, None, ""), ("sat", "pgd", 50.25, 0.125, HOSTILE), ("<b>_&", "pgd", 51.0, 0.5, "")]
    reported = [
        ReportedFigure("Someone 2020", "1", "digits", "resnet18", method, "last", metric, percent, std, note, n=5)
        for method, metric, percent, std, note in cells
    ]
    theirs = model(HOSTILE, evaluation("natural", 150), *_drawing("autoattack", 30, 30))
    return Held(_runs(), [PROTOCOL], reported, [theirs])


def golden_boards(selection: Selection | None = None) -> list[Board]:
    """The boards; one row is flagged, and one is not judged."""
    return [
        replace(board, rows=tuple(map(_checked, board.rows))) if board.source == "measured" else board
        for board in boards(store(), selection)
    ]


def _checked(row: Row) -> Row:
    flag = Flag("A", "autoattack-gap", 1, 1, "AutoAttack breaks 25 % of <what> pgd_leaves & more")
    open_one = Flag("A?", "autoattack-gap", 1, 1, "AutoAttack breaks 25 % of <what> pgd_leaves; not judged: no sat")
    flags = (flag,) if row.method == "trades" else ()
    return replace(row, flags=flags, not_judged=() if row.trained_here else (open_one,))


FORMATS: dict[str, Callable[[Sequence[Board]], str]] = {
    "board.md": render_markdown,
    "board.tex": render_latex,
    "paper.tex": lambda chosen: render_latex(chosen, paper=True, worst_case=False),
    "board.csv": render_csv,
    "board.json": render_json,
    "board.html": render_html,
    "table-80.txt": lambda chosen: printed(chosen, 80),
    "table-120.txt": lambda chosen: printed(chosen, 120),
    "brief-80.txt": lambda chosen: printed(chosen, 80, brief=True),
    "intervals-120.txt": lambda chosen: printed(chosen, 120, intervals=True),
    "legend-80.txt": lambda chosen: printed(chosen, 80, explained=True),
}


def text_of(name: str) -> str:
    """A format's text, with a last line end."""
    return FORMATS[name](golden_boards()).rstrip("\n") + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in FORMATS:
        (FOLDER / each).write_text(text_of(each), encoding="utf-8")
