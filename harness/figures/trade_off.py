"""Natural against robust accuracy: what robustness costs on images that nobody attacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.errors import HarnessError
from harness.figures.accuracies import about, accuracy, covered, measured_on, over_text, row_names, uneven_text
from harness.figures.axes import NATURAL, accuracy_label, percent_ticks, window, write_caption
from harness.figures.marks import Marks, Value
from harness.figures.material import ROOM, Material
from harness.figures.plot import Canvas, Plot
from harness.figures.scatter import Spot, draw_spots
from harness.figures.style import COLUMN
from harness.leaderboard.cells import full_name
from harness.leaderboard.columns import title_of


def _data(material: Material) -> Marks:
    return Marks.of(_rows(material))


def _rows(material: Material) -> Iterator[Mapping[str, Value]]:
    board = material.board(ROOM)
    robust = board.ranked_by
    if robust == NATURAL or NATURAL not in board.columns:
        raise HarnessError(
            f"trade-off shows natural against robust accuracy, and this board ranks by {robust}: give --attack pgd, or"
            " another attack that changes images"
        )
    for row in board.rows:
        across, up = accuracy(board, row, NATURAL), accuracy(board, row, robust)
        if across is None or up is None:
            raise HarnessError(
                f"{full_name(board, row)} has no accuracy under {NATURAL if across is None else robust}: harness run"
                " or harness evaluate attacks it; or name the other rows with --method"
            )
        own = {**about(board), **row_names(board, row), "attack": title_of(robust)}
        yield {**own, **across.columns("natural_"), **up.columns("robust_"), **covered(board, row, robust)}


def _draw(marks: Marks, canvas: Canvas) -> None:
    canvas.set_size_inches(COLUMN, 2.7)
    axes = canvas.subplots()
    x, y = ("natural_value", "natural_low", "natural_high"), ("robust_value", "robust_low", "robust_high")
    spots = [Spot.of(row, x, y) for row in marks.rows]
    shown = window([spot.x for spot in spots], [spot.x_ends for spot in spots], whole=True)
    axes.set_xlim(shown.low, shown.high)
    percent_ticks(axes.xaxis, 6)
    axes.set_xlabel(accuracy_label(NATURAL))
    axes.set_ylabel(accuracy_label(marks.only("attack")))
    write_caption(canvas, f"{measured_on(marks)}; {over_text(marks, 'natural_', 'robust_')}{uneven_text(marks)}")
    draw_spots(canvas, axes, spots)


TRADE_OFF = Plot(
    name="trade-off",
    title="Natural against robust accuracy, with 95 % intervals",
    needs="attacked runs of one board: harness run sat trades --dataset digits --arch smallcnn --train-seeds 5",
    data=_data,
    draw=_draw,
)
