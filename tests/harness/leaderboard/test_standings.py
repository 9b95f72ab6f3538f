"""The leaderboard's own queries, against the whole records of runs and models: the same boards, or the same refusal.

The records are read in another way, row by row with all that belongs to it, and their verdicts as one byte an image.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from harness.errors import HarnessError, StoreError
from harness.leaderboard.board import MEASURED, Board, Selection
from harness.leaderboard.contestants import newest
from harness.leaderboard.ranking import boards, unranked
from harness.leaderboard.render_json import render_json, row_documents
from harness.store.records import ModelRecord, RunRecord
from harness.store.store import Store
from tests.harness.leaderboard.drawn import filled

DAMAGES = ("correct = correct + 1", "verdicts = x'ff'", "examples = 0", "start = start + 1", "verdicts = x'0001'")
SELECTIONS = (
    Selection(),
    Selection(by_seed=True),
    Selection(top=1, sort="worst_case"),
    Selection(checkpoint="early", network="smallcnn", columns=("cw", "natural")),
    Selection(dataset="digits", source=MEASURED, runs=frozenset({2, 3}), sort="natural"),
)


class FromRecords(Store):
    """A store whose boards are made of whole records."""

    def standings(self) -> tuple[Sequence[RunRecord], Sequence[ModelRecord]]:
        return newest(self.runs()), self.models()

    def bits_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        return self.verdicts_of(evaluation_ids)


def told(store: Store, selection: Selection) -> str:
    """The boards as text, or the refusal."""
    try:
        found = boards(store, selection)
    except HarnessError as error:
        return str(error)
    return render_json(found) + repr([(plain(board), board.ranked == board.rows) for board in found])


def plain(board: Board) -> tuple[Any, ...]:
    shown = [(row.label, row.arch_label, row.flags, row.runs, row.worst_case_seeds, row.unseeded) for row in board.rows]
    return board.heading, board.columns, board.aliases, board.scope, board.total, board.namesake, board.within, shown


STORES = given(some.integers(0, 10**9), some.sampled_from((None, None, *DAMAGES)))


@settings(max_examples=4)
@STORES
def test_both_ways_make_the_same_boards(number: int, damage: str | None) -> None:
    same_boards(number, damage)


@pytest.mark.slow
@settings(max_examples=120)
@STORES
def test_both_ways_make_the_same_boards_of_many_stores(number: int, damage: str | None) -> None:
    same_boards(number, damage)


def same_boards(number: int, damage: str | None) -> None:
    """Make a store's boards in both ways, each of its values as it is or one damaged."""
    draws = random.Random(number)
    store = filled(draws)
    slow = FromRecords(store._engine)
    if damage is not None:
        with store._engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            few = f"SELECT evaluation_id FROM blocks WHERE start = 0 ORDER BY evaluation_id LIMIT {draws.randrange(2)}"
            connection.exec_driver_sql(f"UPDATE OR IGNORE blocks SET {damage} WHERE evaluation_id IN ({few})")
    for selection in SELECTIONS:
        assert told(store, selection) == told(slow, selection)
    if damage is None:
        assert list(row_documents(unranked(store))) == list(row_documents(unranked(slow)))
    store.close()


def test_the_boards_above_have_rows_figures_flags_ties_and_refusals() -> None:
    seen: dict[str, int] = dict.fromkeys(("rows", "worst", "flags", "several flags", "tested", "models"), 0)
    for number in range(12):
        store = filled(random.Random(number))
        for row in row_documents(boards(store, Selection(source=MEASURED))):
            seen["rows"] += 1
            seen["worst"] += row["metrics"]["worst_case"] is not None
            seen["flags"] += bool(row["flags"])
            seen["several flags"] += len(row["flags"] or ()) > 1
            seen["tested"] += row["versus_best"] is not None
            seen["models"] += not row["trained_under_protocol"]
        store.close()
    assert min(seen.values()) > 1, seen


def test_json_is_as_the_library_writes_it() -> None:
    store = filled(random.Random(3))
    found = boards(store)
    store.close()
    for chosen in ([], found[:1], found):
        assert render_json(chosen) == json.dumps({"rows": list(row_documents(chosen))}, indent=2)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("runs", "train_seed", 0.5),
        ("runs", "code", "[1]"),
        ("models", "name", b"\x00"),
        ("checkpoints", "epoch", "two"),
        ("checkpoints", "model_id", None),
        ("evaluations", "settings", "5"),
        ("evaluations", "seed", 0.5),
        ("blocks", "correct", b"8"),
        ("blocks", "verdicts", 10**12),
        ("examinations", "created_utc", "2026-13-45 99:99:99"),
        ("findings", "reason", b"x"),
    ],
)
def test_a_value_of_another_type_is_refused_in_one_line(table: str, column: str, value: Any) -> None:
    store = filled(random.Random(3))
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        some_row = f"SELECT max(rowid) FROM {table}" + (" WHERE status = 'flagged'" if table == "findings" else "")
        assert connection.exec_driver_sql(
            f'UPDATE {table} SET "{column}" = ? WHERE rowid IN ({some_row})', (value,)
        ).rowcount
    with pytest.raises(StoreError) as caught:
        store.standings()
    store.close()
    assert "\n" not in str(caught.value)
    assert table.removesuffix("s") in str(caught.value)


def test_times_of_examinations_are_read() -> None:
    store = filled(random.Random(3))
    runs, _ = store.standings()
    examined = [e for run in runs for checkpoint in run.checkpoints for e in checkpoint.examinations]
    store.close()
    assert examined
    assert all(isinstance(e.created_utc, datetime) for e in examined)
