"""Merging random pairs of databases: nothing is lost without a word, nothing changes, twice is once, any order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from harness.events import BlockDone, Finding
from harness.store.checked_rows import RowCheck
from harness.store.merged_results import Merged
from harness.store.merging import merge_engines
from harness.store.records import CheckpointRecord, ModelRecord, RunRecord
from harness.store.store import Store
from harness.store.typed_rows import of_file
from tests import stores
from tests.harness.store.entries import epoch, images, make_spec, point, see_model, start

BROKEN, FAILED_SEED = "it broke", "the loss is not finite at epoch 1, batch 2"  # why a training failed
EVALUATION = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1),
        "attempts": st.lists(st.sampled_from(["11", "10", "1"]), min_size=1, max_size=2),  # "1": not complete
        "margins": st.booleans(),
        "predicted": st.booleans(),
        "adversarial": st.booleans(),
        "block": st.sampled_from([1, 2]),
    }
)
RESULTS = st.fixed_dictionaries(
    {
        "evaluations": st.lists(EVALUATION, min_size=1, max_size=2, unique_by=lambda each: each["seed"]),
        "finding": st.sampled_from([None, "passed", "flagged"]),
        "kind": st.sampled_from(["model", "verdicts"]),
        "note": st.sampled_from([None, "mine", "theirs"]),
        "tag": st.sampled_from([(), ("paper",), ("draft",)]),
    }
)
RUN = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1),
        "weights": st.lists(st.sampled_from("aab"), min_size=1, max_size=2),  # of each attempt
        "end": st.sampled_from(["done", "done", "running", BROKEN, FAILED_SEED, FAILED_SEED]),  # of the last attempt
        "recorded": st.booleans(),
        "results": RESULTS,
        "removed": st.booleans(),
    }
)
MODEL = st.fixed_dictionaries(
    {"sha256": st.sampled_from("de"), "name": st.sampled_from(["x", "y"]), "results": RESULTS}
)
DATABASE = st.fixed_dictionaries(
    {
        "runs": st.lists(RUN, min_size=1, max_size=2, unique_by=lambda each: each["seed"]),
        "models": st.lists(
            MODEL, max_size=2, unique_by=(lambda each: str(each["sha256"]), lambda each: str(each["name"]))
        ),
    }
)
Content = dict[str, Any]
PHASES = (Phase.explicit, Phase.generate)  # to make a failing pair smaller takes minutes
Owner = RunRecord | ModelRecord


def made(content: Content) -> Store:
    store = Store.in_memory()
    for run in content["runs"]:
        for attempt, weights in enumerate(run["weights"], start=1):
            row = start(store, make_spec(train_seed=run["seed"]), attempt=attempt)
            store.add_epoch(row.id, epoch(1, *([point(64)] if run["recorded"] else [])))
            checkpoint = stores.add_checkpoint(store, row, epoch=1, sha256=weights * 64)
            end = run["end"] if attempt == len(run["weights"]) else "done"
            if end != "running":
                store.end_run(row.id, None if end == "done" else end)
            put(store, store.run(row.id), checkpoint, run["results"])
        if run["removed"]:
            row = start(store, make_spec(train_seed=run["seed"]), attempt=len(run["weights"]) + 1)
            store.remove([row])
    for model in content["models"]:
        seen = see_model(store, model["name"], sha256=model["sha256"] * 64)
        put(store, seen, seen.checkpoint, model["results"])
    return store


def put(store: Store, owner: Owner, checkpoint: CheckpointRecord, results: Content) -> None:
    for evaluation in results["evaluations"]:
        for attempt, verdicts in enumerate(evaluation["attempts"], start=1):
            key = (checkpoint.id, "pgd", {"steps": 20}, evaluation["seed"], 2)
            number, size = store.open_evaluation(*key, attempt=attempt), evaluation["block"]
            for first in range(0, len(verdicts), size):
                part = bytes(stores.as_digits(verdicts[first : first + size]))
                kept: Content = {"margins": (0.5,) * len(part)} if evaluation["margins"] else {}
                kept |= {"predicted": (3,) * len(part)} if evaluation["predicted"] else {}
                kept |= {"adversarial": images(0.5)} if evaluation["adversarial"] and not first else {}
                store.add_block(BlockDone(number, first, part, 0.5, (), **kept))
    if results["finding"]:
        finding = Finding("logits", results["finding"], "", None, None, "a reason", {})
        store.add_examination(checkpoint.id, {"kind": results["kind"], "epsilon": 0.2}, [finding], 1.0, {})
    store.annotate(owner, results["note"])
    store.change_tags([owner], results["tag"], ())


def rows(store: Store, *, everything: bool = False) -> Iterator[tuple[str, tuple[object, ...]]]:
    """What a database says, each with the name that a merge gives its owner in a report.

    Args:
        everything: with what is not finished, which a merge only names.
    """
    owners: list[Owner] = [*store.runs(), *store.models()]
    for owner in owners:
        model = isinstance(owner, ModelRecord)
        name = f"model {owner.name}" if isinstance(owner, ModelRecord) else f"run {owner.id} ({owner.folder})"
        (checkpoint,) = [owner.checkpoint] if isinstance(owner, ModelRecord) else owner.checkpoints
        one = ("model" if model else owner.identity, checkpoint.sha256)
        if isinstance(owner, RunRecord) and owner.status != "done":
            if everything:
                yield name, (*one, owner.status)
            continue
        yield name, one
        yield name, (*one, "note", owner.note)
        yield from ((name, (*one, "tag", tag)) for tag in owner.tags)
        if isinstance(owner, RunRecord):
            yield from ((name, (*one, "curve", curve.points)) for curve in store.curves(owner.id))
        for examination in checkpoint.examinations:
            yield (
                name,
                (*one, "finding", examination.settings["kind"], *(found.status for found in examination.findings)),
            )
        for evaluation in every_attempt(store, checkpoint):
            key = (*one, evaluation["seed"], evaluation["attempt"])
            if evaluation["done"] == 2 or everything:
                yield name, (*key, store.verdicts(evaluation["id"]))
            if evaluation["done"] == 2:
                kept = store.margins(evaluation["id"]), store.predicted(evaluation["id"])
                yield from ((name, (*key, tuple(one))) for one in kept if one is not None)
                yield from ((name, (*key, image)) for image in store.adversarial_images(evaluation["id"]))


def every_attempt(store: Store, checkpoint: CheckpointRecord) -> list[dict[str, int]]:
    query = (
        "SELECT e.id, e.seed, e.attempt, (SELECT sum(examples) FROM blocks WHERE evaluation_id = e.id) AS done"
        " FROM evaluations e WHERE checkpoint_id = ?"
    )
    with store._engine.connect() as connection:
        return [dict(row._mapping) for row in connection.exec_driver_sql(query, (checkpoint.id,))]


def figures(store: Store) -> dict[tuple[object, ...], float]:
    """Every figure that counts: of the newest attempts that are done, by what it is of."""
    newest = set(store.newest_runs())
    owners: list[Owner] = [*(run for run in store.runs() if run.id in newest), *store.models()]
    return {
        (owner.identity, checkpoint.sha256, evaluation.seed): evaluation.percent
        for owner in owners
        for checkpoint in ([owner.checkpoint] if isinstance(owner, ModelRecord) else owner.checkpoints)
        for evaluation in checkpoint.evaluations
        if evaluation.complete
    }


def failed_seeds(store: Store) -> set[str]:
    """The runs that a row counts as failed seeds, by their identities."""
    return {run.identity for run in store.failed_trainings()}


def dumped(engine: Engine) -> list[str]:
    raw = engine.raw_connection()
    try:
        return list(raw.driver_connection.iterdump())  # type: ignore[union-attr]
    finally:
        raw.close()


def merge(source: Store, into: Store, *, keep: bool = True) -> Merged:
    return merge_engines(source._engine, into._engine, lambda one, other: one == other, keep=keep)


def told(merged: Merged) -> list[str]:
    return [*merged.conflicts, *merged.left]


def check_pair(one: Content, other: Content) -> None:
    mine, theirs = made(one), made(other)
    before, counted, of_theirs = (
        dict.fromkeys(row for _, row in rows(mine, everything=True)),
        figures(mine),
        dumped(theirs._engine),
    )
    failed = failed_seeds(mine) | failed_seeds(theirs)
    unchanged = dumped(mine._engine)
    expected = merge(theirs, mine, keep=False)  # as --dry-run
    assert dumped(mine._engine) == unchanged
    merged = merge(theirs, mine)
    assert merged == expected
    assert dumped(theirs._engine) == of_theirs

    # nothing that was there changes, but for checks in whose place newer ones came, and these are named
    after = {row for _, row in rows(mine, everything=True)}
    for row in before:
        renewed = "finding" in row and merged.replaced
        completed = (
            len(row) == 5 and row[4] == b"\x01" and any(len(other) == 5 and other[:4] == row[:4] for other in after)
        )
        assert row in after or renewed or completed, row
    assert figures(mine).items() >= counted.items()

    # whatever the other one has is there, or its owner is named
    for name, row in rows(theirs, everything=True):
        assert row in after or row[2:] == ("note", None) or any(text.startswith(name) for text in told(merged)), row
    assert {
        identity: a for identity, a in theirs.removed_attempts().items() if mine.removed_attempts()[identity] < a
    } == {}

    # whoever failed in one of them failed here, unless the other one has a training that is done
    assert failed_seeds(mine) == failed - {run.identity for run in mine.runs() if run.status == "done"}

    check = RowCheck(of_file(mine._engine.raw_connection().driver_connection))  # type: ignore[arg-type]
    check.perform()
    assert check.problems == []

    # twice is once
    again = dumped(mine._engine)
    second = merge(theirs, mine)
    assert dumped(mine._engine) == again
    assert second == Merged(conflicts=second.conflicts, left=second.left)

    # the order does not matter where nothing was named
    backwards, into = made(one), made(other)
    reverse = merge(backwards, into)
    if not told(merged) and not told(reverse) and not merged.replaced and not reverse.replaced:
        assert {row for _, row in rows(into)} == {row for _, row in rows(mine)}
        assert figures(into) == figures(mine)
    for store in (mine, theirs, backwards, into):
        store.close()


@settings(max_examples=12, phases=PHASES)
@given(DATABASE, DATABASE)
def test_any_two_databases(one: Content, other: Content) -> None:
    check_pair(one, other)


@pytest.mark.slow
@settings(max_examples=120, phases=PHASES)
@given(DATABASE, DATABASE)
def test_any_two_databases_of_many(one: Content, other: Content) -> None:
    check_pair(one, other)


def database_of(*attempts: str, weights: str = "a", end: str = "done") -> Content:
    """One run with one evaluation."""
    evaluation = {"seed": 0, "attempts": attempts, "block": 1} | dict.fromkeys(
        ("margins", "predicted", "adversarial"), False
    )
    results = {"evaluations": [evaluation], "finding": "passed", "kind": "verdicts", "note": None, "tag": ()}
    run = {"seed": 0, "weights": weights, "end": end, "recorded": False, "results": results, "removed": False}
    return {"runs": [run], "models": []}


@pytest.mark.parametrize(
    ("one", "other", "added", "conflicts"),
    [
        (database_of("11"), database_of("11", "10"), 0, 1),  # a newer attempt that would change the figure
        (database_of("11"), database_of("11", "11"), 1, 0),
        (database_of("11"), database_of("10"), 0, 1),
        (database_of("1"), database_of("11"), 1, 0),  # what was not complete is completed
        (database_of("11", "10"), database_of("11", "10"), 0, 0),
        (database_of("11", weights="b"), database_of("11"), 0, 1),
        (database_of("11", weights="ab"), database_of("10", weights="a"), 0, 1),
    ],
)
def test_pairs_with_an_answer_by_hand(one: Content, other: Content, added: int, conflicts: int) -> None:
    check_pair(one, other)
    merged = merge(made(other), made(one))
    assert (merged.evaluations, len(merged.conflicts)) == (added, conflicts)


@pytest.mark.parametrize("end", ["done", "running", BROKEN, FAILED_SEED])
def test_a_failed_seed_beside_a_training_of_the_same_run(end: str) -> None:
    mine, failed = database_of("11", end=end), database_of("11", end=FAILED_SEED)
    check_pair(mine, failed)
    check_pair(failed, mine)
    assert merge(made(failed), made(mine)).runs == (end in ("running", BROKEN))
