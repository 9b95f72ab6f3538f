"""Write the table of the README from leaderboard.db, between its two markers. A test compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.leaderboard.markdown import render_markdown
from harness.leaderboard.ranking import MEASURED, Selection, boards
from harness.store.store import Store

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"


def table() -> str:
    """The measured boards of the published database, with the machine that measured them."""
    store = Store.read(str(ROOT / "leaderboard.db"))
    chosen = [board for board in boards(store, Selection()) if board.source == MEASURED]
    runs = store.runs()
    store.close()
    places = {f"{r.provenance['device']}, torch {r.provenance['torch']}, Python {r.provenance['python']}" for r in runs}
    return f"{render_markdown(chosen)}\n\nMeasured on: {'; '.join(sorted(places))}."


def main() -> None:
    """Replace what stands between the markers."""
    readme = ROOT / "README.md"
    head, found, rest = readme.read_text().partition(BEGIN)
    _, closed, tail = rest.partition(END)
    if not (found and closed):
        sys.exit(f"README.md lacks the markers {BEGIN} and {END}")
    readme.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}")


if __name__ == "__main__":
    main()
