"""``harness upgrade``: bring an older database to the newest schema."""

from __future__ import annotations

from harness.cli.grouped import grouped
from harness.cli.options import DB, place


@grouped
def upgrade(
    db: str | None = DB,
    backup: bool = place("--backup/--no-backup", "First copy the file, to FILE.schema-NNNN.db beside it.", True),
) -> None:
    """Bring a database of an older version of harness to the schema that this version reads."""
    from harness.store import database
    from harness.store.store import Store

    before, copy = database.upgrade_database(db, backup=backup)
    if before == database.REVISION:
        print(f"the database has the newest schema, {before}, already")
        return
    Store.write(db).close()  # adds the published figures that ship with this version
    kept = f"; the old one is kept as {copy}" if copy is not None else ""
    print(f"upgraded from schema {before} to {database.REVISION}{kept}")
