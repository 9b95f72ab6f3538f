"""``harness doctor``: what it finds in a store and its files, its exit code, and that it changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from harness.store.store import Store
from tests import stores
from tests.cli.conftest import Ends, Harness
from tests.first_board import FIRST_BOARD
from tests.harness.store.entries import make_spec, snapshot, start


def checks(text: str) -> dict[str, dict[str, Any]]:
    return {one["topic"]: one for one in json.loads(text)["checks"]}


def trained(content: bytes) -> Path:
    """A store with one run, whose weights file has this content; returns the file."""
    store = Store.write("leaderboard.db")
    run = start(store, make_spec())
    stores.add_checkpoint(store, run, sha256=hashlib.sha256(content).hexdigest())
    store.end_run(run.id)
    store.close()
    file = Path("runs", run.folder, "last.safetensors")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def test_a_sound_store_with_its_weights_is_ok_and_nothing_is_changed(tmp_path: Path, harness: Harness) -> None:
    trained(b"weights")
    before = snapshot(tmp_path)
    found = checks(harness("doctor --weights --json"))
    assert found["database leaderboard.db"]["text"] == "sound: 1 runs, 0 evaluations"
    assert found["weights in runs"] == {
        "topic": "weights in runs",
        "state": "ok",
        "text": "all 1 are there",
        "remedy": "",
    }
    assert "--weights compares" in checks(harness("doctor --json"))["weights in runs"]["text"]
    assert snapshot(tmp_path) == before
    assert "sound: 1 runs" in harness("doctor")


def test_weights_that_differ_are_wrong_and_missing_ones_are_told(harness: Harness, ends: Ends) -> None:
    file = trained(b"weights")
    file.write_bytes(b"weighty")
    assert checks(harness("doctor --json"))["weights in runs"]["state"] == "ok"  # not read
    code, out, _ = ends("doctor --weights --json")
    found = checks(out)["weights in runs"]
    assert (code, found["state"]) == (1, "wrong")
    assert found["text"] == "1 of 1 differ from their stored hash: 1:last"
    file.unlink()
    found = checks(harness("doctor --weights --json"))["weights in runs"]
    assert (found["state"], found["text"]) == ("note", "1 of 1 are not there: 1:last")


def test_a_row_that_cannot_be_or_a_file_that_is_no_database_is_wrong(ends: Ends) -> None:
    shutil.copy(FIRST_BOARD, "board.db")
    with contextlib.closing(sqlite3.connect("board.db")) as connection, connection:
        connection.execute("UPDATE runs SET folder = '/etc' WHERE id = 7")
    code, out, _ = ends("doctor --db board.db --json")
    found = checks(out)["database board.db"]
    assert (code, json.loads(out)["wrong"], found["state"]) == (1, 1, "wrong")
    assert found["text"] == "run 7: its folder '/etc' is not one folder below --runs-dir"
    Path("text.db").write_text("a text, which is long enough" * 100)
    code, out, _ = ends("doctor --db text.db --json")
    assert (code, checks(out)["database text.db"]["text"]) == (
        1,
        "text.db is not a database (file is not a database, SQLITE_NOTADB)",
    )


def test_without_a_database_nothing_is_wrong_and_none_is_made(tmp_path: Path, harness: Harness) -> None:
    assert checks(harness("doctor --json"))["database leaderboard.db"]["state"] == "note"
    assert list(tmp_path.iterdir()) == []
