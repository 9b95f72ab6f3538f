"""What a figure is: its name, its data, and its drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.figures.marks import Marks

if TYPE_CHECKING:
    from harness.figures.material import Material

Canvas = Any
"""A ``matplotlib.figure.Figure``: empty, in the style of ``harness.figures.style``, which arranges its axes itself."""


@dataclass(frozen=True)
class Plot:
    """One figure that ``harness figures NAME`` writes.

    Attributes:
        title: what it shows, in a few words.
        needs: the records that it is made from, in one line.
        data: reads these records, and gives one row a mark. It imports no matplotlib. It raises HarnessError where the
            records are missing, with the command that makes them, and where they cannot be compared.
        draw: draws the rows, and nothing that is not in them. It sets the size of the canvas. Only here is matplotlib
            imported.
        paper: the figure of Gao et al. 2021 that it measures anew, such as ``Figure 1(a)``; empty: none.
    """

    name: str
    title: str
    needs: str
    data: Callable[[Material], Marks]
    draw: Callable[[Marks, Canvas], None]
    paper: str = ""
