"""Files of stored runs and models are below the runs' folder, whatever a database from elsewhere says."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.cli.remove import _own_files
from harness.errors import HarnessError, StoreError
from harness.leaderboard.ranking import boards
from harness.planning.own_runs import OwnTarget, own_weights
from harness.protocols.protocol import load_protocol
from harness.store.folders import model_folder, run_folder
from harness.store.store import Store
from harness.training.weights_place import weights_file
from tests import stores

PATHS = ["/etc", "../x", "..", ".", "", "a/b", "a/", "/", "a/../../b", "x\0y", ".ssh", "./a", "//host/share", "a/.."]


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_refused_wherever_it_would_be_used(name: str, store: Store, tmp_path: Path) -> None:
    run = replace(stores.start(store, stores.make_spec()), folder=name)
    with pytest.raises(StoreError, match=r"run 1 has the folder .*`harness rm 1`"):
        run_folder(tmp_path, run)
    with pytest.raises(HarnessError, match="is no file's name"):
        weights_file(tmp_path, name)
    checkpoint = replace(stores.add_checkpoint(store, run), name="last")
    done = replace(run, checkpoints=(checkpoint,), status="done")
    with pytest.raises(StoreError, match="has the folder"):
        own_weights(OwnTarget(done, "last"), load_protocol("digits"), tmp_path)


@pytest.mark.parametrize("sha256", ["../../..", "a/b", "/etc/pass"])
def test_a_models_folder_is_no_path(sha256: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no such number"):
        model_folder(tmp_path, sha256)


@pytest.mark.parametrize("dataset", ["digits", "folder:blömer", "folder:花", "folder:with space", "folder:a.b,c"])
def test_the_folders_that_harness_gives_are_taken(dataset: str, store: Store, tmp_path: Path) -> None:
    run = stores.start(store, stores.make_spec(replace(stores.DIGITS, name=dataset)), attempt=2)
    assert run_folder(tmp_path, run).parent == tmp_path
    assert run_folder(tmp_path, run).name == run.folder
    assert model_folder(tmp_path, "d" * 64) == tmp_path / "model-dddddddd"
    assert weights_file(tmp_path, "early") == tmp_path / "early.safetensors"


def test_a_board_with_such_a_run_can_be_read(full: Path) -> None:
    with sqlite3.connect(full) as connection:
        connection.execute("UPDATE runs SET folder = '/etc', status = 'done'")
    connection.close()
    store = Store.read(str(full))
    assert boards(store)
    assert store.run(1).folder == "/etc"
    store.close()


def test_nothing_is_deleted_of_a_refused_folder() -> None:
    assert _own_files(None) == []


def test_no_other_code_joins_the_folder_of_a_row() -> None:
    package = Path(harness.__file__).parent
    joins = re.compile(r"/ [\w.()]*\.folder\b|Path\([\w.]*\.folder\)")
    found = {p.relative_to(package).as_posix() for p in package.rglob("*.py") if joins.search(p.read_text("utf-8"))}
    # there ``folder`` is a Path of a work item, which ``run_folder`` gave
    assert found == {"store/folders.py", "execution/executors/cluster/unpacked.py"}
