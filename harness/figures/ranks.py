"""How certain the ranks are: for every row the 95 % interval of its rank, under a bootstrap that is paired by image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.figures.accuracies import TEST_IMAGES, TRAINING_SEEDS, about, measured_on, row_names
from harness.figures.axes import folded, write_caption
from harness.figures.marks import Marks, Value, number
from harness.figures.material import Material
from harness.figures.plot import Canvas, Plot
from harness.figures.style import COLUMN, TEXT, look_of
from harness.leaderboard.columns import title_of
from harness.leaderboard.rank_spread import rank_spread


def _data(material: Material) -> Marks:
    return Marks.of(_rows(material))


def _rows(material: Material) -> Iterator[Mapping[str, Value]]:
    board = material.board()
    found = rank_spread(material.store, board)
    common: dict[str, Value] = {
        "attack": title_of(board.ranked_by),
        "rows": len(found.rows),
        "networks": found.networks,
        "evaluations": found.evaluations,  # of each network: attacks and their seeds
        "over": f"{TEST_IMAGES} and {TRAINING_SEEDS}" if found.networks > 1 else TEST_IMAGES,
    }
    shown = {row.key for row in board.rows}
    for row, interval in sorted(found.rows, key=lambda pair: pair[1].rank):
        if row.key in shown:
            rank: dict[str, Value] = {"rank": interval.rank, "low": interval.low, "high": interval.high}
            yield {**about(board), **row_names(board, row), **common, **rank}


def _draw(marks: Marks, canvas: Canvas) -> None:
    rows = marks.distinct("row")
    names = [folded(str(row)) for row in rows]
    lines = max(name.count("\n") + 1 for name in names)
    canvas.set_size_inches(COLUMN, 0.75 + 0.19 * lines * len(rows))
    axes = canvas.subplots()
    for place, mark in enumerate(marks.rows):
        look = look_of(str(mark["method"]))
        ends = [number(mark, "low"), number(mark, "high")]
        axes.plot(ends, [place, place], color=look.colour, linewidth=5, alpha=0.35, solid_capstyle="round", zorder=2)
        axes.plot([number(mark, "rank")], [place], color=look.colour, marker=look.marker, ls="none", zorder=3)
    last = int(number(marks.rows[0], "rows"))
    axes.set_xlim(0.6, last + 0.4)
    axes.set_xticks(range(1, last + 1) if last <= 12 else [1, *range(5, last + 1, 5)])
    axes.set_yticks(range(len(rows)), names, fontsize=TEXT)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines.left.set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(f"rank under {marks.only('attack')}")
    write_caption(canvas, _caption(marks))


def _caption(marks: Marks) -> str:
    networks = int(number(marks.rows[0], "networks"))
    seeds = f"the images and {networks} training seeds" if networks > 1 else "the images; one network a row"
    return f"{measured_on(marks)}; 95 % intervals over {seeds}"


RANKS = Plot(
    name="ranks",
    title="Ranks with their 95 % intervals, under a paired bootstrap",
    needs="two attacked rows of one board or more: harness run sat trades --dataset digits --arch smallcnn",
    data=_data,
    draw=_draw,
)
