"""The database that a command only reads: one that the user named must be there."""

from __future__ import annotations

from pathlib import Path

from harness.cli.sources import given


def there(db: str | None) -> str | None:
    """The same, where it is there, or nobody named it on the command line.

    Without ``--db``, and where the environment or a configuration names one, a project may have no result yet.

    Raises:
        StoreError: ``--db`` names a file that does not exist: another store would be shown as empty.
    """
    from harness.errors import StoreError, did_you_mean
    from harness.store import database

    if db is None or "db" not in given().typed:
        return db
    file = database.sqlite_file(database.locate(db))
    if file is not None and not file.exists():
        hint = did_you_mean(_alike(file)) or "check the path; `harness run` with the same --db makes one"
        raise StoreError(f"--db {db} is refused: there is no such database; {hint}")
    return db


def _alike(file: Path) -> list[str]:
    """The databases in the same folder with nearly the same name."""
    from harness.errors import near_misses

    names = [each.name for each in file.parent.iterdir() if each.suffix == ".db"] if file.parent.is_dir() else []
    return [str(file.parent / name) for name in near_misses(file.name, names)]
