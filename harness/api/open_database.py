"""A database of results that is open: it is read anew by each table, and closed once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from harness.api.contents import TableColumn
from harness.api.filters import chosen
from harness.api.table import Table
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.store.records import ModelRecord, RunRecord
    from harness.store.store import Store


class OpenDatabase:
    """A database of results. A context manager."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name, self._closed = store, name, False

    def close(self) -> None:
        """Close the database."""
        self._store.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<results in {self._name}{', closed' if self._closed else ''}>"

    def _open(self) -> Store:
        if self._closed:
            raise StoreError(f"the results in {self._name} were closed; open them again with harness.open")
        return self._store

    def _runs(self) -> Sequence[RunRecord]:
        return self._open().runs()

    def _models(self) -> Sequence[ModelRecord]:
        return self._open().models()

    def _table(
        self,
        title: str,
        of_table: tuple[TableColumn, ...],
        rows: Iterable[Mapping[str, Any]],
        filters: Mapping[str, object],
        superseded: bool = True,
    ) -> Table:
        return Table.of_rows(title, of_table, of_attempts(chosen(list(rows), of_table, filters), superseded))


def of_attempts(rows: Sequence[Mapping[str, Any]], superseded: bool) -> Sequence[Mapping[str, Any]]:
    """The rows of the attempts that the leaderboard counts; with ``superseded`` those of all attempts."""
    return [row for row in rows if superseded or row["current"]]
