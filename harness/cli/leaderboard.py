"""``harness leaderboard``: the figures, ranked where they can be compared."""

from __future__ import annotations

from typing import Annotated, Literal

from harness.cli import completion
from harness.cli.console import print_boards
from harness.cli.options import Db, output_option, rows_option
from harness.errors import did_you_mean, near_misses

Format = Literal["table", "json", "markdown", "csv"]


def leaderboard(
    dataset: Annotated[
        str | None,
        rows_option(
            metavar="NAME", help="Show this data set's rows alone.", autocompletion=completion.plugin_names("datasets")
        ),
    ] = None,
    arch: Annotated[
        str | None,
        rows_option(
            metavar="NAME", help="Show this network's rows alone.", autocompletion=completion.plugin_names("networks")
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        rows_option(
            metavar="NAME",
            help="Show rows under this protocol alone: its name, or its fingerprint's beginning.",
            autocompletion=completion.protocols,
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        rows_option(
            metavar="NAME",
            help="Show this checkpoint's rows alone: early or last.",
            autocompletion=completion.words("early", "last"),
        ),
    ] = None,
    sort: Annotated[
        str | None,
        rows_option(
            metavar="COLUMN",
            help="Rank by this attack, or by worst_case.",
            show_default="the last attack",
            autocompletion=completion.plugin_names("attacks"),
        ),
    ] = None,
    db: Db = None,
    form: Annotated[Format, output_option("--format", help="How to print.")] = "table",
) -> None:
    """Show the leaderboard: measured rows, and those that papers report, each in rankings of their own."""
    from harness.leaderboard.board import Selection
    from harness.leaderboard.ranking import boards
    from harness.leaderboard.render_csv import render_csv
    from harness.leaderboard.render_json import render_json
    from harness.leaderboard.render_markdown import render_markdown
    from harness.store.store import Store

    store = Store.read(db)
    selection = Selection(dataset=dataset, network=arch, protocol=protocol, checkpoint=checkpoint, sort=sort)
    chosen = boards(store, selection)
    if form == "json":
        print(render_json(chosen))
    elif form == "markdown":
        print(render_markdown(chosen))
    elif form == "csv":
        print(render_csv(chosen))
    else:
        print_boards(chosen)
        if not chosen:
            known = {board.dataset for board in boards(store)}
            near = near_misses(dataset or "", known, most=1)
            there = f"there are rows for {', '.join(sorted(known))}"
            print(f"No row matches; {did_you_mean(f'--dataset {name}' for name in near) or there}")
    store.close()
