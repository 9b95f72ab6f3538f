"""Robust accuracy against what the training cost: passes through the network, or seconds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from harness.errors import HarnessError, listed
from harness.figures.accuracies import about, accuracy, covered, measured_on, over_text, row_names, uneven_text
from harness.figures.axes import accuracy_label, write_caption
from harness.figures.marks import Marks, Value
from harness.figures.material import PASSES, ROOM, Material
from harness.figures.plot import Canvas, Plot
from harness.figures.scatter import Spot, draw_spots
from harness.figures.style import COLUMN
from harness.leaderboard.board import Row
from harness.leaderboard.cells import full_name
from harness.leaderboard.columns import title_of
from harness.planning.spent import epochs_up_to, passes_of_epochs, place_text
from harness.runtime.provenance import every_place
from harness.store.records import RunRecord

TITLES_OF_COSTS: Mapping[str, str] = {
    PASSES: "passes of the training, per image",
    "seconds": "seconds of the training, mean and range",
}
WIDER = 1.25  # the axis of costs, beyond its outermost marks: a factor


def _data(material: Material) -> Marks:
    return Marks.of(_rows(material))


def _rows(material: Material) -> Iterator[Mapping[str, Value]]:
    board = material.board(ROOM)
    column = board.ranked_by
    elsewhere = [full_name(board, row) for row in board.rows if not row.runs]
    if elsewhere:
        raise HarnessError(
            f"{listed(elsewhere)}: trained elsewhere, at a cost that nobody recorded; name the other rows with --method"
        )
    networks = {row.arch_label for row in board.rows}
    if len(networks) > 1:
        raise HarnessError(
            f"costs of two networks cannot be compared: {', '.join(sorted(networks))}; choose one with --arch"
        )
    held = board.column(column)
    counted = [[n.number for n in row.networks if n.number and all(held.evaluations(n).values())] for row in board.rows]
    runs = {number: material.store.run(number) for numbers in counted for number in numbers}
    if material.cost != PASSES:
        _refuse_two_machines(list(runs.values()))
    for row, numbers in zip(board.rows, counted, strict=True):
        found = accuracy(board, row, column)
        if found is None:
            raise HarnessError(
                f"{full_name(board, row)}: no accuracy under {title_of(column)}; `harness evaluate"
                f" {row.runs[0]}` attacks it; or name the other rows with --method"
            )
        costs = [_cost(material, runs[number], row) for number in numbers]
        ends = {"cost_low": min(costs), "cost_high": max(costs)}
        own = {**about(board), **row_names(board, row), "attack": title_of(column), "unit": material.cost}
        yield {**own, "cost": statistics.fmean(costs), **ends, **found.columns(), **covered(board, row, column)}


def _refuse_two_machines(runs: Sequence[RunRecord]) -> None:
    """Raise HarnessError if the runs were trained in two places, or by two numbers of threads of a CPU."""
    places = {place_text(place) for run in runs for place in every_place(run.provenance)}
    if len(places) > 1:
        raise HarnessError(
            "seconds on two machines, or of two numbers of threads, cannot be compared:"
            f" {'; '.join(sorted(places))}; draw --cost passes, or name rows of one machine with --method"
        )


def _cost(material: Material, run: RunRecord, row: Row) -> float:
    """What one network cost up to the row's checkpoint; of `best` the whole training, but not the attacks that chose.

    Raises:
        HarnessError: not every epoch is recorded, or the method's code has changed.
    """
    epochs = epochs_up_to(run, row.checkpoint)
    if material.cost == PASSES:
        return passes_of_epochs(run, epochs, material.plugins)
    return sum(epoch.duration_s for epoch in epochs)


def _draw(marks: Marks, canvas: Canvas) -> None:
    canvas.set_size_inches(COLUMN, 2.7)
    axes = canvas.subplots()
    x, y = ("cost", "cost_low", "cost_high"), ("value", "low", "high")
    spots = [Spot.of(row, x, y) for row in marks.rows]
    axes.set_xscale("log")
    axes.set_xlim(min(spot.x_ends[0] for spot in spots) / WIDER, max(spot.x_ends[1] for spot in spots) * WIDER)
    _plain_ticks(axes)
    unit = str(marks.only("unit"))
    axes.set_xlabel(TITLES_OF_COSTS[unit])
    axes.set_ylabel(accuracy_label(marks.only("attack")))
    write_caption(canvas, f"{measured_on(marks)}; {over_text(marks)}{uneven_text(marks)}")
    draw_spots(canvas, axes, spots)


def _plain_ticks(axes: Canvas) -> None:
    """Ticks at 1, 2, and 5 times powers of ten, as plain numbers."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))


COST = Plot(
    name="cost",
    title="Robust accuracy against the cost of the training, with 95 % intervals",
    needs="attacked runs of one board; for --cost seconds trained on one machine",
    data=_data,
    draw=_draw,
)
