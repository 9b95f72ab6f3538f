"""The figures, by name."""

from __future__ import annotations

from harness.errors import UnknownName
from harness.figures.methods import METHODS
from harness.figures.plot import Plot

PLOTS: dict[str, Plot] = {plot.name: plot for plot in (METHODS,)}
"""Every figure, in the order in which they are listed."""


def plot_called(name: str) -> Plot:
    """The figure of that name.

    Raises:
        UnknownName: there is none; suggests similar names.
    """
    if name not in PLOTS:
        raise UnknownName("figure", name, PLOTS)
    return PLOTS[name]
