"""``harness db merge``: what it adds, what it says, and that a dry run and a refusal write nothing."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest

from harness.store.store import Store
from tests import stores
from tests.cli.conftest import Harness, Refused
from tests.first_board import FIRST_BOARD
from tests.harness.store.entries import images, make_spec, recorded_block, snapshot, start

ROOT = Path(__file__).parents[2]
ADDED = "4 protocols, 42 runs, 0 models, 763 evaluations, 154 examinations"


def trained(file: str, *, weights: str = "a", kept: bool = False, verdicts: str = "1100") -> None:
    """A run with one evaluation of four images, with what is kept of them or without."""
    store = Store.write(file)
    run = start(store, make_spec())
    checkpoint = stores.add_checkpoint(store, run, sha256=weights * 64)
    store.end_run(run.id)
    if kept:
        number = store.open_evaluation(checkpoint.id, "pgd", {"steps": 20}, 0, 4)
        store.add_block(recorded_block(number, 0, [0 if bit == "1" else 7 for bit in verdicts], images(0.5, 0.25)))
    else:
        stores.add_evaluation(store, checkpoint, "pgd", {"steps": 20}, stores.as_digits(verdicts), block=2)
    store.close()


def test_a_dry_run_tells_what_a_merge_adds_and_writes_nothing(tmp_path: Path, harness: Harness) -> None:
    theirs = FIRST_BOARD
    before = theirs.read_bytes()
    assert harness(f"db merge {theirs} --dry-run --db mine.db") == f"would add: {ADDED}\n"
    assert list(tmp_path.iterdir()) == []
    assert harness(f"db merge {theirs} --db mine.db") == f"added: {ADDED}\n"
    again = snapshot(tmp_path)
    assert harness(f"db merge {theirs} --dry-run --db mine.db").startswith("would add: 0 protocols, 0 runs")
    assert snapshot(tmp_path) == again
    assert theirs.read_bytes() == before
    assert "sound: 42 runs" in harness("db check --db mine.db")


def test_what_ours_lacks_of_the_same_verdicts_is_filled_in(harness: Harness) -> None:
    """Their block is one of four images, ours are two of two: each gets its part."""
    trained("mine.db")
    trained("theirs.db", kept=True)
    said = harness("db merge theirs.db --db mine.db")
    assert "filled in: margins, classes, or images of 1 evaluations" in said
    store = Store.read("mine.db")
    ((evaluation,),) = (c.evaluations for c in store.runs()[0].checkpoints)
    assert store.predicted(evaluation.id) == [0, 0, 7, 7]
    assert store.margins(evaluation.id) == [0.5] * 4
    assert [image.pixels for image in store.adversarial_images(evaluation.id)] == list(images(0.5, 0.25))
    assert evaluation.blocks == ((0, 2), (2, 2))
    store.close()
    assert "filled in" not in harness("db merge theirs.db --db mine.db")
    assert "sound" in harness("db check --db mine.db")


@pytest.mark.parametrize(
    ("other", "conflict"),
    [
        ({"weights": "b"}, "it is there already as run 1, with other weights"),
        ({"verdicts": "1000"}, "with other verdicts"),
    ],
)
def test_a_conflict_is_named_and_nothing_of_ours_changes(
    harness: Harness, other: dict[str, str], conflict: str
) -> None:
    trained("mine.db")
    trained("theirs.db", kept=True, **other)
    with contextlib.closing(sqlite3.connect("mine.db")) as connection:
        before = list(connection.iterdump())
    said = json.loads(harness("db merge theirs.db --db mine.db --json"))
    assert [conflict in text for text in said["conflicts"]] == [True]
    assert said["filled"] == said["runs"] == said["evaluations"] == 0
    with contextlib.closing(sqlite3.connect("mine.db")) as connection:
        assert list(connection.iterdump()) == before


def test_control_characters_of_the_other_database_are_escaped(harness: Harness) -> None:
    trained("mine.db")
    trained("theirs.db")
    with contextlib.closing(sqlite3.connect("theirs.db")) as connection, connection:
        connection.execute("UPDATE runs SET tags = ?", [json.dumps(["\x1b[31m\n=cmd"])])
    said = harness("db merge theirs.db --db mine.db")
    assert said.splitlines()[1].endswith("the tag \\x1b[31m\\n=cmd, since what is there keeps its own note and tags")


def test_a_merged_run_without_its_weights_says_where_they_may_be(harness: Harness, refusal: Refused) -> None:
    harness(f"db merge {FIRST_BOARD} --db mine.db")
    said = refusal("evaluate 1:last --attacks fgsm --seeds 1 --db mine.db")
    assert "last.safetensors cannot be read (No such file or directory); give the --runs-dir that holds them" in said


def test_a_database_that_is_not_sound_is_refused(tmp_path: Path, refusal: Refused) -> None:
    shutil.copy(FIRST_BOARD, "theirs.db")
    with contextlib.closing(sqlite3.connect("theirs.db")) as connection, connection:
        connection.execute("UPDATE runs SET folder = '/etc' WHERE id = 7")
    said = refusal("db merge theirs.db --db mine.db")
    assert "not sound, so nothing is taken from it: run 7: its folder '/etc' is not one folder below" in said
    assert "`harness db check --db theirs.db`" in said
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.db"]


def test_two_data_sets_of_one_fingerprint_are_refused(refusal: Refused) -> None:
    trained("mine.db")
    trained("theirs.db", weights="b")
    with contextlib.closing(sqlite3.connect("theirs.db")) as connection, connection:
        connection.execute("UPDATE datasets SET height = 9")
    before = Path("mine.db").read_bytes()
    assert "has 9 height, and 8 here, under one fingerprint" in refusal("db merge theirs.db --db mine.db")
    assert Path("mine.db").read_bytes() == before


def test_the_advice_for_an_older_database_works_as_it_is_typed(harness: Harness, refusal: Refused) -> None:
    shutil.copy(ROOT / "tests/assets/schema-0003.db", "theirs.db")
    said = refusal("db merge theirs.db --db mine.db")
    commands = [command.removeprefix("harness ") for command in re.findall("`(.*?)`", said)]
    for command in commands:
        harness(command)
    new = shlex.split(commands[-1])[-1]
    assert said.rstrip().endswith(f"and merge {new}")
    assert harness(f"db merge {new} --db mine.db").startswith("added: 1 protocols, 1 runs")
