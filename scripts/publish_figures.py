"""Draw the figure of README.md from leaderboard.db, with its data beside it; a test compares both."""

from __future__ import annotations

from pathlib import Path

from harness.figures.marks import Marks
from harness.figures.material import Material
from harness.figures.methods import METHODS
from harness.figures.writing import rendered, write_figures
from harness.leaderboard.board import Selection
from harness.leaderboard.columns import WORST_CASE
from harness.store.store import Store
from scripts.publish_tables import TOP

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "figures"
COLUMNS = ("natural", "pgd", "cw", "autoattack", WORST_CASE)
BOARD = Selection(dataset="digits", protocol="digits", columns=COLUMNS, top=TOP)
KEPT = (".svg", ".csv")


def published_marks() -> Marks:
    """The data of the figure, from the published database."""
    store = Store.read(str(ROOT / "leaderboard.db"))
    marks = METHODS.data(Material(store=store, selection=BOARD))
    store.close()
    return marks


def main() -> None:
    """Write the figure and its data."""
    files = rendered(METHODS, published_marks())
    write_figures(FOLDER, {name: content for name, content in files.items() if name.endswith(KEPT)})


if __name__ == "__main__":
    main()
