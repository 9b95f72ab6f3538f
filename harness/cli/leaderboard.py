"""``harness leaderboard``: the figures, ranked where they can be compared."""

from __future__ import annotations

from typing import Literal

from harness.cli import completion
from harness.cli.console import print_boards
from harness.cli.grouped import grouped
from harness.cli.options import DB, Rows, of_output, of_rows
from harness.errors import did_you_mean, near_misses

Format = Literal["table", "json", "markdown", "csv"]


@grouped
def leaderboard(
    *,
    dataset: str | None = of_rows("--dataset NAME", "Rows on this data set alone.", complete=completion.datasets),
    rows: Rows,
    sort: str | None = of_rows(
        "--sort COLUMN", "Rank by this attack, or by worst_case.", shown="the last attack", complete=completion.attacks
    ),
    db: str | None = DB,
    form: Format = of_output("--format <table|json|markdown|csv>", "The format of the output.", "table"),
) -> None:
    """Show the leaderboard: figures measured here, and figures that papers report, ranked apart."""
    from harness.leaderboard.board import Selection
    from harness.leaderboard.ranking import boards
    from harness.leaderboard.render_csv import render_csv
    from harness.leaderboard.render_json import render_json
    from harness.leaderboard.render_markdown import render_markdown
    from harness.store.store import Store

    store = Store.read(db)
    chosen = boards(store, Selection(dataset=dataset, sort=sort, **vars(rows)))
    if form != "table":
        render = {"json": render_json, "markdown": render_markdown, "csv": render_csv}[form]
        print(render(chosen))
    else:
        print_boards(chosen)
        if not chosen:
            known = {board.dataset for board in boards(store)}
            near = near_misses(dataset or "", known, most=1)
            there = f"there are rows for {', '.join(sorted(known))}"
            print(f"No row matches; {did_you_mean(f'--dataset {name}' for name in near) or there}")
    store.close()
