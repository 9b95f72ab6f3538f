"""Names written beside their marks, where they cover no other name, no mark, and no interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.figures.style import INK, QUIET, SMALL

_NEAR = (5.0, 9.0, 14.0, 20.0, 28.0, 38.0)  # points between a mark and its name
_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_LEADER = 12.0  # points: a name further away than this has a line to its mark
_MARKER = 3.5  # points: half the size of a marker, with a margin
_HIDDEN, _OUTSIDE = 4.0, 8.0  # how much worse it is to cover a mark, or to leave the axes, than to cover an interval


@dataclass(frozen=True)
class Box:
    """A rectangle on the canvas, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        """The area of the rectangle."""
        return (self.right - self.left) * (self.top - self.bottom)


@dataclass(frozen=True)
class Named:
    """A mark to name, in data coordinates, with its intervals along both axes; an interval may be a point."""

    name: str
    x: float
    y: float
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]


def write_names(canvas: Any, axes: Any, marks: Sequence[Named]) -> list[Any]:
    """Write each name near its mark. Call it last: it needs the final limits of the axes.

    Returns:
        The texts, in the order of the marks.
    """
    canvas.draw_without_rendering()  # arranges the axes
    scale = 72 / canvas.dpi
    inside = _box(axes.get_window_extent(), scale)
    places = [_on_canvas(axes, mark.x, mark.y, scale) for mark in marks]
    spots = [_around(x, y, _MARKER) for x, y in places]
    bars = [bar for mark in marks for bar in _bars(axes, mark, scale)]
    taken: list[Box] = []
    texts = []
    for mark, (x, y) in zip(marks, places, strict=True):
        text = axes.annotate(
            mark.name,
            (mark.x, mark.y),
            (0, 0),
            textcoords="offset points",
            fontsize=SMALL,
            color=INK,
            annotation_clip=False,
        )
        text.set_in_layout(False)
        size = _box(text.get_window_extent(), scale)
        width, height = size.right - size.left, size.top - size.bottom
        options = list(_options(x, y, width, height))
        costs = [_cost(box, distance, inside, taken, spots, bars) for box, distance, _ in options]
        box, distance, up = options[costs.index(min(costs))]
        taken.append(box)
        text.set_position((box.left - x, box.bottom - y))
        text.set(ha="left", va="bottom")
        if distance > _LEADER:
            _lead(axes, mark, (x, y), box, up)
        texts.append(text)
    return texts


def _lead(axes: Any, mark: Named, place: tuple[float, float], box: Box, up: int) -> None:
    """Draw a thin line from a mark to the nearest edge of its name, which is above it (1), beside it (0), or below."""
    x, y = place
    edge = {1: box.bottom, 0: (box.bottom + box.top) / 2, -1: box.top}[up]
    line = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.5, "shrinkA": 0.5, "shrinkB": 3}
    to = (min(max(x, box.left), box.right) - x, edge - y)
    axes.annotate("", (mark.x, mark.y), to, textcoords="offset points", arrowprops=line).set_in_layout(False)


def _options(x: float, y: float, width: float, height: float) -> Iterator[tuple[Box, float, int]]:
    """Places for a name of that size around a mark: where, how far away, and whether above, beside, or below it."""
    for distance in _NEAR:
        for dx, dy in _WAYS:
            step = distance if 0 in (dx, dy) else 0.75 * distance
            left = x + dx * step - (0 if dx > 0 else width if dx < 0 else width / 2)
            bottom = y + dy * step - (0 if dy > 0 else height if dy < 0 else height / 2)
            yield Box(left, bottom, left + width, bottom + height), distance, dy


def _cost(
    box: Box, distance: float, inside: Box, taken: Sequence[Box], spots: Sequence[Box], bars: Sequence[Box]
) -> float:
    """How bad a place is: what it covers, in square points, and how far away it is."""
    outside = box.area - box.overlap(inside)
    hidden = sum(box.overlap(other) for other in (*taken, *spots))
    return distance + _HIDDEN * hidden + sum(box.overlap(bar) for bar in bars) + _OUTSIDE * outside


def _bars(axes: Any, mark: Named, scale: float) -> Iterator[Box]:
    for ends in (
        ((mark.x_ends[0], mark.y), (mark.x_ends[1], mark.y)),
        ((mark.x, mark.y_ends[0]), (mark.x, mark.y_ends[1])),
    ):
        (left, bottom), (right, top) = (_on_canvas(axes, *end, scale) for end in ends)
        yield Box(left - 1, bottom - 1, right + 1, top + 1)


def _on_canvas(axes: Any, x: float, y: float, scale: float) -> tuple[float, float]:
    across, up = axes.transData.transform((x, y))
    return float(across) * scale, float(up) * scale


def _around(x: float, y: float, half: float) -> Box:
    return Box(x - half, y - half, x + half, y + half)


def _box(extent: Any, scale: float) -> Box:
    return Box(extent.x0 * scale, extent.y0 * scale, extent.x1 * scale, extent.y1 * scale)
