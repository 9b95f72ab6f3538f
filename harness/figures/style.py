"""How every figure looks: its size, its type, and one colour and one marker for each method."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError

COLUMN, WIDE = 3.4, 7.0  # inches: one column of a paper, and both
DPI = 300
TEXT, SMALL = 8.0, 7.0  # points
INK, QUIET, GRID = "#1a1a1a", "#6b6b6b", "#e4e4e4"

RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial", "sans-serif"],
    "font.size": TEXT,
    "axes.titlesize": TEXT,
    "axes.labelsize": TEXT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "lines.markeredgewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "white",  # readable on dark pages, too
    "savefig.facecolor": "white",
    "savefig.dpi": DPI,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "harness",  # the same data give the same file
    "text.parse_math": False,  # a name with two dollar signs is no formula
}


@dataclass(frozen=True)
class Appearance:
    """The colour and the marker of a method, the same in every figure."""

    colour: str
    marker: str

    @property
    def text(self) -> dict[str, Any]:
        """How a number or a name in this colour is written."""
        return {"color": self.colour, "fontsize": SMALL}


# Okabe and Ito's colours, which people of every colour vision tell apart, without the yellow, too light on white
LOOKS: Mapping[str, Appearance] = {
    "standard": Appearance("#6b6b6b", "X"),
    "sat": Appearance("#000000", "o"),
    "trades": Appearance("#0072b2", "s"),
    "mart": Appearance("#009e73", "P"),
    "gairat": Appearance("#d55e00", "^"),
    "gair-trades": Appearance("#e69f00", "v"),
    "lrat": Appearance("#aa4499", "D"),
    "lrat-trades": Appearance("#56b4e9", "d"),
}
LINES = ("-", "--", ":", "-.")  # of the rows that share colour and marker
_OTHER_COLOURS = ("#882255", "#332288", "#117733", "#999933", "#44aa99", "#88ccee", "#661100")
_OTHER_MARKERS = ("p", "h", "<", ">", "*", "H", "8")


def look_of(method: str) -> Appearance:
    """The look of a method, by its name without settings; the name alone decides the look of a user's method."""
    if method in LOOKS:
        return LOOKS[method]
    value = int(hashlib.sha256(method.encode()).hexdigest()[:8], 16)
    colour, marker = value % len(_OTHER_COLOURS), value // len(_OTHER_COLOURS) % len(_OTHER_MARKERS)
    return Appearance(_OTHER_COLOURS[colour], _OTHER_MARKERS[marker])


def line_styles(methods: Sequence[str]) -> list[str]:
    """The style of each row's line, given its method: rows of one look, of one method or of two, have different lines.

    Few colours and markers are left for methods that do not ship, so two of these may share both.
    """
    before: Counter[Appearance] = Counter()
    styles = []
    for look in map(look_of, methods):
        styles.append(LINES[before[look] % len(LINES)])
        before[look] += 1
    return styles


def require_matplotlib() -> None:
    """Refuse to draw where matplotlib is not installed.

    Raises:
        HarnessError: names the extra that installs it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise HarnessError(
            "figures are drawn by matplotlib, which is not installed: pip install 'robustness-harness[plots]'"
        ) from None


@contextlib.contextmanager
def styled() -> Iterator[Any]:
    """An empty canvas, while the style is in force: draw and save inside the block. The user's own style has no say."""
    import matplotlib
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.style.use("default")
        matplotlib.rcParams.update(RC)
        yield Figure(layout="constrained")
