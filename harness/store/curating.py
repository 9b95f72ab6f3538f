"""What a person says about stored runs and models, and their removal."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from harness.errors import HarnessError, StoreError, quoted, visible
from harness.store.leases import refuse_trained_now
from harness.store.records import ModelRecord, RunRecord
from harness.store.schema import ModelRow, RemovedAttemptRow, RunRow
from harness.store.watching import Watching

LONGEST_NOTE = 500  # characters
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,23}")


def note_of(text: str) -> str | None:
    """A remark as it is stored: in one line; None for an empty one.

    Raises:
        HarnessError: it is too long.
    """
    note = visible(" ".join(text.split()))
    if len(note) > LONGEST_NOTE:
        raise HarnessError(f"a note of {len(note)} characters is refused: {LONGEST_NOTE} are the most")
    return note or None


def refuse_no_tag(tag: str) -> None:
    """Raise HarnessError for anything but a short word."""
    if not TAG.fullmatch(tag):
        raise HarnessError(
            f"the tag {quoted(tag)} is refused: a tag is one word of at most 24 letters, digits, and . _ -, and begins"
            " with a letter or a digit"
        )


class Curating(Watching):
    """The base of ``Store``: its methods that write a note, change tags, or remove runs and models."""

    def annotate(self, owner: RunRecord | ModelRecord, note: str | None) -> None:
        """Store a remark in place of an older one; None removes it.

        Raises:
            StoreError: the run or model is gone.
        """
        with self._writing() as session:
            _row(session, owner).note = note

    def change_tags(
        self, owners: Sequence[RunRecord | ModelRecord], add: Collection[str], remove: Collection[str]
    ) -> None:
        """Add tags to runs and models, and remove others, in one transaction. A tag that is there stays where it is.

        Raises:
            StoreError: a run or model is gone; nothing is changed then.
        """
        with self._writing() as session:
            for owner in owners:
                row = _row(session, owner)
                row.tags = [tag for tag in dict.fromkeys([*row.tags, *add]) if tag not in remove]

    def remove(self, owners: Sequence[RunRecord | ModelRecord]) -> None:
        """Remove runs and models with all that belongs to them, in one transaction; nothing else is touched.

        Data sets, protocols, and reported figures stay. A removed number is never given again.

        Raises:
            StoreError: a run or model is gone, or a process trains the run; nothing is removed then.
        """
        with self._writing() as session:
            for owner in owners:
                row = _row(session, owner)
                if isinstance(row, RunRow):
                    refuse_trained_now(session, row.id)
                    known = session.get(RemovedAttemptRow, row.identity)
                    attempt = max(row.attempt, known.attempt if known is not None else 0)
                    session.merge(RemovedAttemptRow(identity=row.identity, attempt=attempt))
                kind = type(row)
                session.execute(delete(kind).where(kind.id == owner.id))  # foreign keys take its parts with it


def _row(session: Session, owner: RunRecord | ModelRecord) -> RunRow | ModelRow:
    row: RunRow | ModelRow | None
    row = session.get(RunRow, owner.id) if isinstance(owner, RunRecord) else session.get(ModelRow, owner.id)
    if row is None or row.identity != owner.identity:
        raise StoreError(f"{owner.title} is gone: another command removed it; `harness runs` lists what is there")
    return row
