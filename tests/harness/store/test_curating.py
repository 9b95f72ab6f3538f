"""Notes, tags, and removal: they concern what they name, and nothing else in the database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import HarnessError, StoreError
from harness.events import BlockDone, EpochRecord
from harness.store.curating import LONGEST_NOTE, note_of, refuse_no_tag
from harness.store.merging import merge_database
from harness.store.store import Store
from harness.targets.probe import same_function
from tests import stores
from tests.harness.store.entries import (
    FINDINGS,
    WEIGHT,
    epoch,
    images,
    make_spec,
    point,
    recorded_block,
    rows,
    see_model,
    start,
)
from tests.harness.store.holders import FAR


def fill(store: Store, seed: int) -> int:
    """A run with a row in every table that belongs to it; its number."""
    run = start(store, make_spec(train_seed=seed))
    store.add_epoch(run.id, epoch(1, point(64), histograms=(WEIGHT,)))
    checkpoint = stores.add_checkpoint(store, run, sha256=str(seed) * 64)
    number = store.open_evaluation(checkpoint.id, "pgd", {"steps": 20}, 0, 3)
    store.add_block(recorded_block(number, 0, (0, 3, 0), images(0.1, 0.2)))
    store.add_examination(checkpoint.id, {"epsilon": 0.2}, FINDINGS, 1.5, {})
    store.take(f"run {run.id}", FAR, -1, run.id)  # its time is over
    store.end_run(run.id)
    return run.id


def test_a_run_with_all_that_belongs_to_it_has_a_row_in_every_table_of_a_run(store: Store, place: str) -> None:
    """Else the next test would show nothing of a table."""
    fill(store, 1)
    without = {name for name, held in rows(place).items() if not held}
    assert without == {"removed_attempts", "models", "protocols"}


def test_removal_takes_all_that_belongs_to_a_run_and_nothing_else(store: Store, place: str) -> None:
    stores.see_protocol(store, {"pgd": {"steps": 20}}, {"epochs": 2})
    model = see_model(store)
    stores.add_evaluation(store, model.checkpoint, "pgd", {"steps": 20}, [1, 1, 1])
    kept = fill(store, 1)
    before = rows(place)
    gone = fill(store, 2)
    store.remove([store.run(gone)])
    after = rows(place)
    assert after.pop("removed_attempts") == {repr((make_spec(train_seed=2).identity, 1))}
    assert before.pop("removed_attempts") == set()
    assert after == before
    assert [run.id for run in store.runs()] == [kept]


def test_a_model_goes_with_its_results_alone(store: Store, place: str) -> None:
    fill(store, 1)
    before = rows(place)
    model = see_model(store)
    stores.add_evaluation(store, model.checkpoint, "pgd", {"steps": 20}, [1, 1, 1])
    store.remove(store.models())
    assert rows(place) == before


def test_the_number_of_a_removed_run_is_never_given_again(store: Store) -> None:
    first, last = fill(store, 1), fill(store, 2)
    numbers = {e.id for run in store.runs() for c in run.checkpoints for e in c.evaluations}
    store.remove([store.run(first), store.run(last)])
    again = fill(store, 3)
    assert again > last
    assert not numbers & {e.id for c in store.run(again).checkpoints for e in c.evaluations}


def test_all_or_none_are_removed(store: Store, place: str) -> None:
    one, other = store.run(fill(store, 1)), store.run(fill(store, 2))
    store.remove([other])
    before = rows(place)
    with pytest.raises(StoreError, match="run 2 is gone"):
        store.remove([one, other])
    assert rows(place) == before


def test_attempts_are_counted_on_from_the_last_that_was_removed(store: Store) -> None:
    spec = make_spec()
    for attempt in (1, 2, 3):
        start(store, spec, attempt)
    for number in (3, 1):
        store.remove([store.run(number)])
    assert store.removed_attempts() == {spec.identity: 3}


@pytest.mark.parametrize(
    "write",
    [
        lambda store, run, checkpoint, evaluation: store.add_epoch(run, EpochRecord(2, 2.5, 0.1, 1, 0.5, {})),
        lambda store, run, checkpoint, evaluation: store.add_provenance(run, {}),
        lambda store, run, checkpoint, evaluation: store.add_checkpoint(run, "early", 1, "e" * 64),
        lambda store, run, checkpoint, evaluation: store.end_run(run),
        lambda store, run, checkpoint, evaluation: store.open_evaluation(checkpoint, "cw", {}, 0, 3),
        lambda store, run, checkpoint, evaluation: store.add_block(BlockDone(evaluation, 0, bytes(3), 0.1, ())),
        lambda store, run, checkpoint, evaluation: store.add_examination(checkpoint, {}, FINDINGS, 1.0, {}),
    ],
    ids=["epoch", "provenance", "checkpoint", "end", "evaluation", "block", "examination"],
)
def test_results_of_a_run_that_was_removed_meanwhile_go_nowhere(
    store: Store, place: str, write: Callable[[Store, int, int, int], object]
) -> None:
    record = store.run(fill(store, 1))
    (checkpoint,) = record.checkpoints
    store.remove([record])
    fill(store, 2)  # the next numbers
    before = rows(place)
    with pytest.raises(StoreError, match="was removed"):
        write(store, record.id, checkpoint.id, checkpoint.evaluations[0].id)
    assert rows(place) == before


def test_notes_and_tags_by_hand(store: Store) -> None:
    fill(store, 1)
    model = see_model(store)
    (run,) = store.runs()
    identity = run.spec.identity
    store.annotate(run, "the first")
    store.annotate(model, "theirs")
    store.change_tags([run, model], ["paper", "b"], [])
    store.change_tags([store.run(run.id)], ["a", "paper"], ["b"])
    assert (store.run(run.id).note, store.run(run.id).tags) == ("the first", ("paper", "a"))
    assert [(m.note, m.tags) for m in store.models()] == [("theirs", ("paper", "b"))]
    store.annotate(run, None)
    assert store.run(run.id).note is None
    assert store.run(run.id).spec.identity == identity  # they are of no identity


def test_what_a_note_and_a_tag_may_be() -> None:
    assert note_of("  two\n lines\x1b ") == "two lines\\x1b"
    assert note_of(" \n") is None
    assert note_of("x" * LONGEST_NOTE) == "x" * LONGEST_NOTE
    with pytest.raises(HarnessError, match="500 are the most"):
        note_of("x" * (LONGEST_NOTE + 1))
    for tag in ("a", "Table-2", "v1.0_x", "9" * 24):
        refuse_no_tag(tag)
    for tag in ("", "-a", "a b", "a,b", "9" * 25, "ü", "a\n"):
        with pytest.raises(HarnessError, match="is refused: a tag is one word"):
            refuse_no_tag(tag)


def test_a_merged_row_comes_with_its_remarks_and_one_that_is_there_keeps_its_own(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    for seed in (1, 2):
        fill(store, seed)
    new, known = store.runs()
    model = see_model(store)
    for owner in (new, known, model):
        store.annotate(owner, "theirs")
        store.change_tags([owner], ["theirs", "both"], [])
    its = there.run(fill(there, 2))
    there.annotate(its, "ours")
    there.change_tags([its], ["both"], [])
    lost = f"run 2 ({known.folder}): the note 'theirs', the tag theirs, since what is there keeps its own note and tags"
    for _ in range(2):
        assert merge_database(place, other_place, same_function).left == [lost]
    assert {run.train_seed: (run.note, run.tags) for run in there.runs()} == {
        1: ("theirs", ("theirs", "both")),
        2: ("ours", ("both",)),
    }
    assert [(m.note, m.tags) for m in there.models()] == [("theirs", ("theirs", "both"))]


def test_a_run_that_was_removed_comes_back_by_a_merge_as_a_later_attempt(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    fill(store, 1)
    (mine,) = store.runs()
    fill(there, 1)
    there.remove([there.run(1)])
    merge_database(place, other_place, same_function)
    (run,) = there.runs()
    assert (run.identity, run.attempt, run.folder) == (mine.identity, 2, f"{mine.folder}-2")
