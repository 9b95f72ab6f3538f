"""Axes of accuracies that fit their marks, with a sign for what lies far outside; and names that fit their place."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.figures.style import QUIET, SMALL

GAP = 30.0  # points: marks this far below all others would press these together
NATURAL = "natural"  # the attack that leaves images as they are
CHARACTERS = 16  # of a caption, an inch
PADDING = 0.06  # of the axis, beyond its outermost marks


@dataclass(frozen=True)
class Window:
    """The part of 0 to 100 % that an axis shows."""

    low: float
    high: float

    def shows(self, value: float) -> bool:
        """Whether a mark at this value is on the axis; else its value is written at the axis' lower end."""
        return value >= self.low

    def clipped(self, low: float, high: float) -> tuple[float, float]:
        """The part of an interval that lies on the axis."""
        return max(low, self.low), min(high, self.high)


def window(
    values: Sequence[float],
    ends: Sequence[tuple[float, float]],
    *,
    others: Sequence[float] = (),
    whole: bool = False,
) -> Window:
    """The window that holds the values with their intervals.

    At most a third of the values lie below it, and only if a gap of 30 points or more is between them and the others.

    Args:
        ends: of each value's interval.
        others: values of smaller marks, which the window holds too if they are not below the gap.
        whole: hold every value, whatever the gaps.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    first = 0
    for place in range(1, 1 if whole else len(order) // 3 + 1):
        if values[order[place]] - values[order[place - 1]] >= GAP:
            first = place
    least = values[order[first]] - (GAP / 2 if first else 100.0)
    kept = [ends[i] for i in order[first:]] + [(v, v) for v in (*values, *others) if v >= least]
    low = max(0.0, min(end[0] for end in kept))
    high = min(100.0, max(end[1] for end in kept))
    padding = max(PADDING * (high - low), 0.2)
    return Window(low - padding, high + padding)


def folded(name: str, width: int = 26) -> str:
    """A name in lines of at most so many characters."""
    return "\n".join(textwrap.wrap(name, width, break_long_words=True)) or name


def write_caption(canvas: Any, text: str) -> None:
    """What holds for the whole figure, small, below all axes; it is broken between phrases, then between words."""
    fits = int(CHARACTERS * canvas.get_figwidth())
    first, *rest = text.split("; ")
    lines = [first]
    for phrase in rest:
        together = f"{lines[-1]}; {phrase}"
        lines[-1:] = [together] if len(together) <= fits else [f"{lines[-1]};", phrase]
    canvas.supxlabel("\n".join(folded(line, fits) for line in lines), fontsize=SMALL, color=QUIET)


def accuracy_label(attack: object, line_break: str = " ") -> str:
    """The name of an axis of accuracies under an attack."""
    return f"natural{line_break}accuracy, %" if attack == NATURAL else f"accuracy under{line_break}{attack}, %"


def percent_ticks(axis: Any, most: int = 4) -> None:
    """Few ticks, at round numbers from 0 to 100."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], min_n_ticks=2))
