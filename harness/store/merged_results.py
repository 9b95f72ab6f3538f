"""Taking the evaluations and examinations of one checkpoint to another one with the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from harness.runtime.provenance import joined
from harness.store.schema import BlockRow, CheckpointRow, EvaluationRow, ExaminationRow
from harness.store.schema_base import Base

Row = TypeVar("Row", bound=Base)
_KEPT = ("margins", "predicted")  # two bytes an image each, which older versions did not keep


@dataclass
class Merged:
    """What a merge added.

    Attributes:
        filled: evaluations of both databases that got margins, classes, or images which one of them lacked.
        conflicts: in words, what both databases have, and not the same; what was there stays.
        left: in words, what else was left out, and why.
        replaced: in words, checks of rigour in whose place newer ones came, or ones that saw more verdicts.
    """

    protocols: int = 0
    runs: int = 0
    models: int = 0
    evaluations: int = 0
    examinations: int = 0
    filled: int = 0
    conflicts: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


class ResultMerge:
    """The base of a merge: results of checkpoints. Rows that are given belong to a session that only reads."""

    def __init__(self, new: Session) -> None:
        self._new, self.merged = new, Merged()

    def take_results(self, name: str, mine: CheckpointRow, its: CheckpointRow) -> None:
        """Add to one checkpoint what it lacks of the results of another one with the same weights."""
        ours, theirs = _seen(mine), _seen(its)  # before anything is taken: what the checks of verdicts saw
        before = sorted(its.evaluations, key=lambda row: row.attempt)
        for evaluation in mine.evaluations:
            alike = [row for row in before if _key(row) == _key(evaluation)]
            self._take_evaluation(f"{name}: {evaluation.attack}, seed {evaluation.seed},", evaluation, alike, its)
        examinations = {examination.settings_sha256: examination for examination in its.examinations}
        for examination in mine.examinations:
            older = examinations.get(examination.settings_sha256)
            if older is None or _findings(older) != _findings(examination):
                self._take_examination(name, examination, older, its.examinations, ours, theirs)

    def _take_evaluation(
        self, name: str, mine: EvaluationRow, alike: Sequence[EvaluationRow], its: CheckpointRow
    ) -> None:
        """Add an evaluation, or what is missing of it.

        Args:
            alike: the attempts at it that were there before, in order.
        """
        known = next((row for row in alike if row.attempt == mine.attempt), None)
        complete = [row for row in alike if _complete(row)]
        if not _complete(mine):
            self.merged.left.append(f"{name} is not complete")
        elif known in complete and known is not None and _bits(known) == _bits(mine):
            self._fill(name, mine, known)
        elif known in complete or (complete and _bits(complete[-1]) != _bits(mine)):
            # of another attempt, too: a newer one would count from now on, and change the figure
            self.merged.conflicts.append(f"{name} is there already, with other verdicts")
        elif known is None:
            its.evaluations.append(copied(mine))
            self.merged.evaluations += 1
        elif {_judged(block) for block in known.blocks} <= {_judged(block) for block in mine.blocks}:
            starts = {block.start for block in known.blocks}
            known.blocks += [copied(block) for block in mine.blocks if block.start not in starts]
            known.blocks.sort(key=lambda block: block.start)
            known.provenance = joined(known.provenance, mine.provenance)
            self._fill(name, mine, known)
            self.merged.evaluations += 1
        else:
            self.merged.conflicts.append(f"{name} is there in part, with other verdicts or in other blocks")

    def _fill(self, name: str, mine: EvaluationRow, known: EvaluationRow) -> None:
        """Add what was not kept of the same verdicts: margins, classes, and images; say what was kept otherwise."""
        filled, differing = False, []
        for column in _KEPT:
            whole = _whole(mine.blocks, column)
            parts = {(block.start, block.examples): getattr(block, column) for block in mine.blocks}
            for block in known.blocks:
                part = parts.get((block.start, block.examples))
                if part is None and whole is not None:  # blocks of another size
                    part = whole[2 * block.start : 2 * (block.start + block.examples)]
                if part is not None and getattr(block, column) is None:
                    setattr(block, column, part)
                    filled = True
                elif part != getattr(block, column) and any(parts.values()):
                    differing.append(column)
        images = {image.place: image.pixels for image in known.adversarial}
        if mine.adversarial and not images:
            known.adversarial = [copied(image) for image in mine.adversarial]
            filled = True
        elif any(images.get(image.place) != image.pixels for image in mine.adversarial):
            differing.append("adversarial images")
        self.merged.filled += filled
        if differing:
            kept = " and ".join(dict.fromkeys(differing))
            self.merged.left.append(f"{name} its {kept}, since others of the same verdicts are there")

    def _take_examination(
        self,
        name: str,
        mine: ExaminationRow,
        older: ExaminationRow | None,
        there: list[ExaminationRow],
        ours: set[object],
        theirs: set[object],
    ) -> None:
        """Take the newer one; but of two that examined verdicts, the one that saw all of them."""
        if mine.settings.get("kind") == "verdicts" and ours != theirs:
            if not theirs < ours:
                what = "fewer attacks" if ours < theirs else "those of one database only"
                self.merged.left.append(f"{name}: the checks of its verdicts, which saw {what}")
                return
        elif older is not None and older.created_utc >= mine.created_utc:
            self.merged.left.append(f"{name}: its checks of {mine.created_utc:%Y-%m-%d}, since later ones are there")
            return
        if older is not None:
            self.merged.replaced.append(f"{name}: its checks of {older.created_utc:%Y-%m-%d}")
            there.remove(older)
            self._new.flush()  # the old row must go first: both are unique in the same way
        there.append(copied(mine))
        self.merged.examinations += 1


def copied(row: Row, without: Sequence[str] = ()) -> Row:
    """A new row with the same values and the parts it owns; its number and its references are left to the database.

    Args:
        without: parts, of the row or of its parts, that are left out.
    """
    mapper = inspect(type(row))
    plain = [a.key for a in mapper.column_attrs if a.key != "id" and not a.columns[0].foreign_keys]
    copy = type(row)(**{key: getattr(row, key) for key in plain})
    for relation in mapper.relationships:
        if relation.cascade.delete_orphan and relation.key not in without:  # the row owns it
            parts = getattr(row, relation.key)
            copies = [copied(part, without) for part in parts] if relation.uselist else copied(parts, without)
            setattr(copy, relation.key, copies)
    return copy


def _key(row: EvaluationRow) -> tuple[object, ...]:
    """What makes two evaluations of one checkpoint the same, but for the attempt."""
    return row.attack, row.settings_sha256, row.seed, row.examples, row.sample


def _complete(row: EvaluationRow) -> bool:
    return sum(block.examples for block in row.blocks) == row.examples


def _judged(block: BlockRow) -> tuple[int, int, bytes]:
    return block.start, block.examples, block.verdicts


def _bits(row: EvaluationRow) -> str:
    """The verdicts of an evaluation in the order of its images, however they are parted into blocks."""
    return "".join(f"{int.from_bytes(b.verdicts, 'big'):0{8 * len(b.verdicts)}b}"[: b.examples] for b in row.blocks)


def _whole(blocks: Sequence[BlockRow], column: str) -> bytes | None:
    """What is kept of all images; None if it was not kept of some."""
    parts = [getattr(block, column) for block in blocks]
    return None if None in parts else b"".join(parts)


def _seen(checkpoint: CheckpointRow) -> set[object]:
    return {(*_key(row), row.attempt, _bits(row)) for row in checkpoint.evaluations if _complete(row)}


def _findings(row: ExaminationRow) -> list[tuple[object, ...]]:
    names = ("check", "status", "mark", "value", "threshold", "reason", "details")
    return [tuple(getattr(finding, name) for name in names) for finding in row.findings]
