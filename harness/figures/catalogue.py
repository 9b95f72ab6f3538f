"""The figures, by name."""

from __future__ import annotations

from harness.errors import UnknownName
from harness.figures.cost import COST
from harness.figures.gairat_cw import GAIRAT_CW
from harness.figures.methods import METHODS
from harness.figures.overfitting import OVERFITTING
from harness.figures.plot import Plot
from harness.figures.radius import RADIUS
from harness.figures.ranks import RANKS
from harness.figures.trade_off import TRADE_OFF
from harness.figures.unseen_attack import UNSEEN_ATTACK
from harness.figures.vulnerability import VULNERABILITY
from harness.figures.vulnerable import VULNERABLE
from harness.figures.weights import WEIGHTS

FROM_THE_STORE = (METHODS, TRADE_OFF, RADIUS, OVERFITTING, COST, RANKS)
OF_THE_PAPER = (WEIGHTS, UNSEEN_ATTACK, VULNERABLE, VULNERABILITY, GAIRAT_CW)
PLOTS: dict[str, Plot] = {plot.name: plot for plot in (*FROM_THE_STORE, *OF_THE_PAPER)}
"""Every figure, in the order in which they are listed."""


def plot_called(name: str) -> Plot:
    """The figure of that name.

    Raises:
        UnknownName: there is none; suggests similar names.
    """
    if name not in PLOTS:
        raise UnknownName("figure", name, PLOTS)
    return PLOTS[name]
