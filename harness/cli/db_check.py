"""``harness db check``: whether a database is whole, has the schema of this version, and has sound rows alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

from harness.cli.console import print_json, print_lines
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB

if TYPE_CHECKING:
    from harness.store.checking import Checked


@grouped
def check_db(db: str | None = DB, as_json: bool = AS_JSON) -> None:
    """Check every row of a database: counts, hashes, identities, and what the database finds; change nothing."""
    from harness.store.checking import check_database

    checked = check_database(db)
    if as_json:
        print_json(check_document(checked))
    else:
        print_lines(check_lines(checked))
    if not checked.sound:
        raise typer.Exit(1)


def check_lines(checked: Checked) -> list[str]:
    """One line a problem; or the one that says that there is none."""
    if checked.sound:
        runs = f"{checked.runs:,} runs" + (f", {checked.models:,} models from elsewhere" if checked.models else "")
        return [f"sound: {runs}, {checked.evaluations:,} evaluations, {checked.verdicts:,} verdicts"]
    lines = [f"{problem.where}: {problem.what}; {problem.remedy}" for problem in checked.problems]
    return lines + ([f"and {checked.more:,} more problems"] if checked.more else [])


def check_document(checked: Checked) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {"database": checked.name, "sound": checked.sound} | {
        field: value for field, value in dataclasses.asdict(checked).items() if field != "name"
    }
