"""Hostile labels in what other programs read: JSON and Parquet keep every text as it is stored, and are only data."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import legible
from harness.leaderboard.csv_cells import csv_cell
from tests.cli.conftest import Harness
from tests.hostile_labels import APART, LABELS, L, hostile_store, unseen

EVERY = {L, *LABELS}
JSON = {  # command -> where in its document the names of data sets are
    "runs --json": lambda document: [run["dataset"] for run in (*document["runs"], *document["models"])],
    "leaderboard --format json": lambda document: [row["dataset"] for row in document["rows"]],
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("foreign") / "foreign.db"
    hostile_store(file)
    return file


@pytest.mark.parametrize("command", JSON)
def test_json_of_all_has_each_label_as_it_is(command: str, foreign: Path, harness: Harness) -> None:
    text = harness(f"{command} --db {foreign}")
    assert text.isascii()
    assert unseen(text) == set()
    assert set(JSON[command](json.loads(text))) == EVERY


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_json_of_one_has_its_label_as_it_is(every: int, foreign: Path, harness: Harness) -> None:
    for number, label in list(enumerate(LABELS, 1))[::every]:
        text = harness(f"show {number * APART + 1} --json --db {foreign}")
        assert text.isascii()
        document = json.loads(text)
        assert (document["method"], document["note"], document["tags"][0]) == (label,) * 3


def test_parquet_has_each_label_as_it_is_and_the_verdicts_of_each(foreign: Path, harness: Harness) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    harness(f"export verdicts --out all.parquet --db {foreign}")
    table = parquet.read_table("all.parquet")
    rows: list[dict[str, Any]] = table.to_pylist()
    assert {row["dataset"] for row in rows} == EVERY
    natural = [row for row in rows if row["attack"] == "natural"]
    right = {label: sum(row["correct"] for row in natural if row["dataset"] == label) for label in EVERY}
    assert set(right.values()) == {3 * 35}  # of each: two checkpoints of a run, and a model
    assert set(table.schema.metadata or {}) <= {b"ARROW:schema"}


@pytest.mark.parametrize("command", ["export verdicts", "leaderboard --format csv"])
def test_csv_has_each_label_so_that_it_can_be_read_back(command: str, foreign: Path, harness: Harness) -> None:
    text = harness(f"{command} --db {foreign}")
    found = {row["dataset"] for row in csv.DictReader(io.StringIO(text)) if row.get("source") != "reported"}
    shown = {str(csv_cell(label)) for label in EVERY}
    assert found == shown
    assert {cell.removeprefix("'") for cell in found} == {legible(label).removeprefix("'") for label in EVERY}
    assert len(found) == len(EVERY)
