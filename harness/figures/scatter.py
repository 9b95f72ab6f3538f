"""Marks with intervals along both axes and their names beside them: robust accuracy against something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.figures.axes import percent_ticks, window
from harness.figures.labels import Named, write_names
from harness.figures.marks import Value, number
from harness.figures.style import look_of


@dataclass(frozen=True)
class Spot:
    """One row of the leaderboard in a plane: its name, its method, and its two values, each with its interval."""

    name: str
    method: str
    x: float
    x_ends: tuple[float, float]
    y: float
    y_ends: tuple[float, float]

    @classmethod
    def of(cls, row: Mapping[str, Value], x: tuple[str, str, str], y: tuple[str, str, str]) -> Spot:
        """The spot of a row of marks; of each axis the columns of the value and of both ends of its interval."""
        (along, *ends), (up, *heights) = ([number(row, column) for column in columns] for columns in (x, y))
        return cls(str(row["row"]), str(row["method"]), along, (ends[0], ends[1]), up, (heights[0], heights[1]))


def draw_spots(canvas: Any, axes: Any, spots: Sequence[Spot]) -> None:
    """Draw the spots, whose y is an accuracy in percent. The limits of x must be set.

    A spot that lies far below all others stands at the lower end of the axis, with its value in its name.
    """
    shown = window([spot.y for spot in spots], [spot.y_ends for spot in spots])
    axes.set_ylim(shown.low, shown.high)
    named = []
    for spot in spots:
        look = look_of(spot.method)
        if not shown.shows(spot.y):
            axes.plot([spot.x], [0.02], transform=axes.get_xaxis_transform(), color=look.colour, marker=7, ls="none")
            named.append(
                Named(f"{spot.name}: {spot.y:.1f}", spot.x, shown.low, (spot.x, spot.x), (shown.low, shown.low))
            )
            continue
        low, high = shown.clipped(*spot.y_ends)
        axes.plot(spot.x_ends, [spot.y, spot.y], color=look.colour, linewidth=0.9, alpha=0.75, zorder=2)
        axes.plot([spot.x, spot.x], [low, high], color=look.colour, linewidth=0.9, alpha=0.75, zorder=2)
        axes.plot(
            [spot.x], [spot.y], color=look.colour, marker=look.marker, markeredgecolor="white", zorder=3, ls="none"
        )
        named.append(Named(spot.name, spot.x, spot.y, spot.x_ends, (low, high)))
    axes.grid()
    percent_ticks(axes.yaxis, 6)
    write_names(canvas, axes, named)
