"""The drawing of accuracies over epochs: one panel for each attack, one line for each training."""

from __future__ import annotations

from typing import Any

from harness.figures.accuracies import over_text
from harness.figures.axes import percent_ticks, window, write_caption
from harness.figures.curves import ACCURACY, BEGINS
from harness.figures.marks import Marks, Value, number
from harness.figures.plot import Canvas
from harness.figures.style import COLUMN, QUIET, line_styles, look_of

FEW = 12  # epochs: of more, not every one gets a marker


def draw_curves(marks: Marks, canvas: Canvas) -> None:
    """Draw the rows of ``curve_marks``."""
    canvas.set_size_inches(COLUMN, 2.5)
    from matplotlib.ticker import MaxNLocator

    panels = marks.distinct("panel")
    rows = marks.distinct("row")
    styles = line_styles([str(marks.where(row=row)[0]["method"]) for row in rows])
    points = marks.where(mark=ACCURACY)
    ends = [(number(mark, "low"), number(mark, "high")) for mark in points]
    shown = window([number(mark, "value") for mark in points], ends, whole=True)
    for axes, panel in zip(canvas.subplots(1, len(panels), sharey=True, squeeze=False).flat, panels, strict=True):
        for row, style in zip(rows, styles, strict=True):
            _draw_line(axes, marks, panel, row, style)
        for begins in dict.fromkeys(number(mark, "epoch") for mark in marks.where(panel=panel, mark=BEGINS)):
            axes.axvline(begins, color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        axes.set_title(str(panel))
        axes.set_ylim(shown.low, shown.high)
        axes.grid(axis="y")
        percent_ticks(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel("epoch")
    canvas.axes[0].set_ylabel("accuracy, %")
    handles, names = canvas.axes[0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside upper left", ncols=len(rows), borderpad=0, handlelength=2.6)
    write_caption(canvas, _caption(marks))


def _draw_line(axes: Any, marks: Marks, panel: Value, row: Value, style: str) -> None:
    points = marks.where(panel=panel, row=row, mark=ACCURACY)
    epochs, values, low, high = ([number(mark, c) for mark in points] for c in ("epoch", "value", "low", "high"))
    look, every = look_of(str(points[0]["method"])), max(1, len(points) // FEW)
    axes.fill_between(epochs, low, high, color=look.colour, alpha=0.15, linewidth=0)
    drawn = {"color": look.colour, "marker": look.marker, "markevery": every, "markersize": 3.5, "linestyle": style}
    axes.plot(epochs, values, label=str(row), **drawn)


def _caption(marks: Marks) -> str:
    begins = "; dotted: the weights begin, after the burn-in" if BEGINS in marks.distinct("mark") else ""
    return f"{marks.only('images')} test images; {over_text(marks)}{begins}"
