"""The leaderboard's own queries, against the whole records of runs and models: the same boards, or the same refusal.

The records are read in another way, row by row with all that belongs to it, and their verdicts as one byte an image.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from harness.errors import HarnessError, StoreError
from harness.events import Finding
from harness.leaderboard.board import MEASURED, Board, Selection
from harness.leaderboard.contestants import newest
from harness.leaderboard.ranking import boards, unranked
from harness.leaderboard.render_json import render_json, row_documents
from harness.store.records import ModelRecord, RunRecord
from harness.store.scope import EXAMINATION_KINDS, Scope
from harness.store.store import Store
from tests import stores
from tests.tiny import PROTOCOL_DOCUMENT

ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"epsilon": 0.2, "block_size": 4}, "cw": {"block_size": 4}}
OTHER = ATTACKS | {"cw": {"block_size": 4, "kappa": 1.0}}
EXAMPLES = 11
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


def filled(draws: random.Random) -> Store:
    """Some runs and models, some of them evaluated, repeated, and examined, each in one of a few ways."""
    store = Store.in_memory()
    trainings: list[dict[str, Any]] = [{"epochs": 2}, {"epochs": 3}]
    for number, (attacks, training) in enumerate([(ATTACKS, trainings[0]), (OTHER, trainings[1]), (OTHER, {})]):
        stores.see_protocol(store, attacks, training, fingerprint=f"{number}" * 64, name=f"protocol-{number}")
    for _ in range(draws.randrange(1, 7)):
        alpha = {"alpha": draws.randrange(2)}
        of: dict[str, Any] = {
            "method": draws.choice(("sat", "lrat")),
            "method_settings": alpha,
            "train_seed": draws.randrange(3),
        }
        of |= {"network": draws.choice(("smallcnn", "resnet18")), "training": draws.choice(trainings)}
        attempt = draws.randrange(1, 3)
        run = stores.start(store, stores.make_spec(**of), attempt=attempt, method_departures=alpha)
        for epoch, name in enumerate(draws.choice((["last"], ["early", "last"], []))):
            if run.checkpoint(name) is None:
                attacked(store, draws, stores.add_checkpoint(store, run, name, epoch))
        if draws.random() < 0.9:
            store.end_run(run.id)
    for name in ("theirs", "it's")[: draws.randrange(3)]:
        facts: dict[str, Any] = {"network_settings": {}, "network_departures": {}, "parameters": 1, "provenance": {}}
        model = store.see_model(name, stores.DIGITS, sha256=name, network="resnet18", **facts)
        attacked(store, draws, model.checkpoint)
    return store


def attacked(store: Store, draws: random.Random, checkpoint: Any) -> None:
    """Evaluate a checkpoint in some ways, and examine it in some."""
    share, attacks = draws.random(), draws.choice((ATTACKS, OTHER))
    for attack in draws.sample(list(ATTACKS), draws.randrange(1, 4)):
        for seed in range(1 if attack == "natural" else draws.randrange(1, 4)):
            for attempt in range(1, draws.choice((2, 2, 2, 3))):
                done = draws.choice((EXAMPLES, EXAMPLES, EXAMPLES, EXAMPLES - 4))
                verdicts = [int(draws.random() < share) for _ in range(done)]
                known: dict[str, Any] = {"block": draws.choice((3, 8, EXAMPLES)), "examples": EXAMPLES, "seed": seed}
                known["sample"] = draws.choice(("first", "first", "balanced"))
                stores.add_evaluation(store, checkpoint, attack, attacks[attack], verdicts, attempt=attempt, **known)
    for sample in ("first", "balanced"):
        scope = Scope.of_document(PROTOCOL_DOCUMENT, attacks_of(store, attacks), EXAMPLES, sample)
        for kind in EXAMINATION_KINDS:
            for edition in range(draws.randrange(3)):
                checks = draws.sample(("masking", "loss", "transfer"), draws.randrange(4))
                found = [finding(check, draws.random() < 0.4) for check in checks]
                store.add_examination(checkpoint.id, scope.settings(kind) | {"edition": edition}, found, 1.0, {})


def attacks_of(store: Store, attacks: dict[str, Any]) -> dict[str, str]:
    """As a protocol with these attacks keeps them."""
    return next(p.attacks for p in store.protocols() if (p.fingerprint[0] == "0") == (attacks is ATTACKS))


def finding(check: str, flagged: bool) -> Finding:
    status, mark = ("flagged", check[0]) if flagged else ("passed", "")
    return Finding(check, cast(Any, status), mark, 1.0, 2.0, f"because of {check}", {})


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


@settings(max_examples=8)
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
