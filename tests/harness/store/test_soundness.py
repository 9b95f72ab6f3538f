"""Counts and bits that disagree: found in a whole store, and never a figure."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.leaderboard.board import MEASURED, Selection
from harness.leaderboard.ranking import boards
from harness.statistics.figures import Figure
from harness.store.checking import check_database
from harness.store.soundness import place_problems
from harness.store.store import Store
from tests import stores

EXAMPLES = 20
# 0 or 1 for each image, and so 3 bytes, the last 4 bits of which are padding; in two blocks of 12 and 8 images
RIGHT = [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1]

DAMAGES = {
    "a count that its bits do not have": ("correct = 0", 0, "counts 0 images as right, and its verdicts 7"),
    "a bit": ("verdicts = x'b2f0'", 0, "counts 7 images as right, and its verdicts 8"),
    "a padding bit": ("verdicts = x'b2e1'", 0, "bits behind its last image"),
    "a byte too many": ("verdicts = x'b2e000'", 0, "3 bytes, and 12 images need 2"),
    "no verdicts": ("verdicts = x'', correct = 0", 0, "0 bytes, and 12 images need 2"),
    "no images": ("examples = 0, correct = 0, verdicts = x''", 0, "it has 0 images"),
    "an overlap": ("start = 11", 12, "begins before the block ahead of it ends"),
    "a place beyond": ("start = 13", 12, "blocks end at 21, and it has 20 images"),
    "margins": ("margins = x'0038'", 0, "margins has 2 bytes, and 12 images need 24"),
    "classes": ("predicted = x'00'", 0, "predicted has 1 bytes, and 12 images need 24"),
    "a class": (
        "predicted = CAST(x'0a00' || substr(predicted, 3) AS BLOB)",
        0,
        "the predicted class 10, and there are 10 classes",
    ),
}
BITS = [name for name in DAMAGES if name not in ("margins", "classes", "a class")]


@pytest.fixture
def measured(store: Store, file: Path) -> Path:
    """The file of a store with one run, attacked on all of its images."""
    stores.see_protocol(store, {"pgd": {"epsilon": 0.1}}, {})
    run = stores.start(store, stores.make_spec())
    checkpoint = stores.add_checkpoint(store, run)
    kept: dict[str, Any] = {"margins": [0.5] * EXAMPLES, "predicted": [0, 9] * 10}
    stores.add_evaluation(store, checkpoint, "pgd", {"epsilon": 0.1}, RIGHT, block=12, **kept)
    store.end_run(run.id)
    return file


def damage(file: Path, name: str) -> None:
    """Write what somebody else, or a bad disk, would write."""
    change, block, _ = DAMAGES[name]
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        changed = connection.execute(f"UPDATE blocks SET {change} WHERE start = ?", (block,))
        assert changed.rowcount == 1


def problems(file: Path) -> list[str]:
    """What the check of a whole store finds in its evaluations; the protocol and the run are made up."""
    found = check_database(str(file)).problems
    lines = [f"{problem.where}: {problem.what}" for problem in found]
    return [line for line in lines if not line.startswith(("run 1:", "protocol "))]


@pytest.fixture
def reader(measured: Path) -> Iterator[Store]:
    store = Store.read(str(measured))
    yield store
    store.close()


def test_what_harness_wrote_is_sound_and_a_figure(measured: Path, reader: Store) -> None:
    assert problems(measured) == []
    ((evaluation,),) = (run.checkpoints[0].evaluations for run in reader.runs())
    assert (evaluation.correct, evaluation.percent, evaluation.complete) == (12, 60.0, True)
    (board,) = boards(reader, Selection(source=MEASURED))
    assert board.rows[0].metrics["pgd"] == Figure(60.0, None, 1)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_block_is_found_in_the_whole_store(name: str, measured: Path) -> None:
    damage(measured, name)
    found = problems(measured)
    assert any(DAMAGES[name][2] in line for line in found)
    assert all("(evaluation 1)" in line for line in found)


@pytest.mark.parametrize("name", BITS)
def test_no_figure_is_made_of_it_and_the_line_says_what_to_remove(name: str, measured: Path, reader: Store) -> None:
    damage(measured, name)
    (run,) = reader.runs()
    assert reader.run(run.id) == run == reader.newest_attempt(run.identity)  # what else there is can be read
    (evaluation,) = run.checkpoints[0].evaluations
    with pytest.raises(StoreError) as caught:
        _ = evaluation.percent
    assert DAMAGES[name][2] in str(caught.value)
    assert "`harness rm 1`" in str(caught.value)
    with pytest.raises(StoreError, match="no figure is made of it"):
        _ = evaluation.complete
    with pytest.raises(StoreError, match="no figure is made of it"):
        boards(reader, Selection(source=MEASURED))


@pytest.mark.parametrize("name", [name for name in BITS if name != "an overlap"])
def test_no_verdicts_are_read_of_it(name: str, measured: Path, reader: Store) -> None:
    damage(measured, name)
    with pytest.raises(StoreError, match="no figure is made of it"):
        reader.judgements({1: EXAMPLES})
    if name != "a place beyond":
        with pytest.raises(StoreError, match="no figure is made of it"):
            reader.verdicts(1)


def test_margins_and_classes_of_another_length_are_refused(measured: Path, reader: Store) -> None:
    damage(measured, "margins")
    damage(measured, "classes")
    for read in (reader.margins, reader.predicted, lambda number: reader.judgements({number: EXAMPLES})):
        with pytest.raises(StoreError, match=r"[12] bytes, and 12 images need 24"):
            read(1)


def test_blocks_in_any_order_are_in_place() -> None:
    assert list(place_problems(20, [(12, 8), (0, 12)])) == []
    assert list(place_problems(20, [(0, 12)])) == []  # not complete is not damaged
    assert len(list(place_problems(20, [(0, 12), (0, 12), (12, 9)]))) == 2


def test_a_blocks_evaluation_is_there(measured: Path) -> None:
    with contextlib.closing(sqlite3.connect(measured)) as connection, connection:
        connection.execute("DELETE FROM evaluations")
    assert [line.partition(": ")[2] for line in problems(measured)] == [
        "it refers to a row of evaluations that is not there"
    ] * 2
