"""``harness db``: what is done to a database as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import db_check, db_merge
from harness.cli.console import print_line, print_lines
from harness.cli.grouped import grouped
from harness.cli.options import DB, Command, Group, argument, place
from harness.errors import HarnessError

app = typer.Typer(cls=Group)


@app.callback()
def db_group() -> None:
    """Upgrade, copy, merge, and check databases of results."""


@app.command("upgrade", cls=Command, epilog="Example:\n\n  harness db upgrade --db results.db")
@grouped
def upgrade(
    db: str | None = DB,
    backup: bool = place("--backup/--no-backup", "First copy the file, to FILE.schema-NNNN.db beside it.", True),
) -> None:
    """Bring a database of an older version of harness to the schema that this version reads."""
    from harness.store import database
    from harness.store.store import Store

    before, copy = database.upgrade_database(db, backup=backup)
    # adds the published figures that ship with this version; an upgrade that was killed may have left that undone
    Store.write(db).close()
    if before == database.REVISION:
        print_line(f"the database has the newest schema, {before}, already")
        return
    kept = f"; the old one is kept as {copy}" if copy is not None else ""
    print_line(f"upgraded from schema {before} to {database.REVISION}{kept}")


@app.command(
    "copy",
    cls=Command,
    epilog="Examples:\n\n  harness db copy backup.db --db results.db\n\n"
    "  harness db copy --to postgresql+psycopg://me@host/results --db results.db",
)
@grouped
def copy_db(
    destination: Annotated[Path | None, argument("[DEST]", "The new file.")] = None,
    to: str | None = place("--to PATH|URL", "The new file, or an empty database on a server, in place of DEST."),
    db: str | None = DB,
) -> None:
    """Copy a database to a new one, whole and of one moment, also while others write to it; then check the copy."""
    from harness.store import database
    from harness.store.checking import check_database
    from harness.store.copying import copy_database

    if (destination is None) == (to is None):
        raise HarnessError("name one place for the copy: a new file, or --to with a file or the URL of a database")
    new = str(destination) if to is None else to
    shown = database.shown(database.locate(new))
    revision = copy_database(db, new)
    print_line(f"copied to {shown}")
    if revision != database.REVISION:
        print_line(f"it has the older schema {revision}: `harness db upgrade --db {shown}` upgrades it")
        return
    checked = check_database(new)
    print_lines(db_check.check_lines(checked))
    if not checked.sound:
        raise typer.Exit(1)


app.command(
    "check", cls=Command, epilog="Examples:\n\n  harness db check\n\n  harness db check --db results.db --json"
)(db_check.check_db)

app.command(
    "merge", cls=Command, epilog="Examples:\n\n  harness db merge theirs.db --dry-run\n\n  harness db merge theirs.db"
)(db_merge.merge_db)
