"""``harness upgrade``: a database of an older version to the newest schema."""

from __future__ import annotations

from harness.cli.grouped import grouped
from harness.cli.options import DB, place


@grouped
def upgrade(
    db: str | None = DB,
    backup: bool = place("--backup/--no-backup", "Copy the file first, beside it: FILE.schema-NNNN.db.", True),
) -> None:
    """Bring a database of an older version of harness to the schema that this version reads."""
    from harness.store import database
    from harness.store.store import Store
    from harness.store.upgrade import upgrade_database

    before, copy = upgrade_database(db, backup=backup)
    if before == database.REVISION:
        print(f"the database has the newest schema, {before}, already")
        return
    Store.write(db).close()  # brings in the figures that this version's publications report
    kept = f"; the old one is kept as {copy}" if copy is not None else ""
    print(f"upgraded from schema {before} to {database.REVISION}{kept}")
