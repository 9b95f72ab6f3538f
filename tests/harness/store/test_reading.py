"""Reading never touches a file; reported figures; many writers at once; where a store lies."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from harness.reference import reported_figures
from harness.store import database
from harness.store.store import Store
from tests.harness.store.entries import CARRIED, make_spec, snapshot, start


class TestReading:
    def test_reading_changes_neither_bytes_nor_time_and_adds_no_file(self, full: Path, tmp_path: Path) -> None:
        before = snapshot(tmp_path)
        store = Store.read(str(full))
        (run,) = store.runs()
        assert store.newest_attempt(run.identity) == store.run(run.id) == run
        assert len(store.protocols()) == 1
        assert len(store.reported()) == CARRIED
        assert len(store.verdicts(run.checkpoints[0].evaluations[0].id)) == 10
        assert snapshot(tmp_path) == before
        store.close()
        assert snapshot(tmp_path) == before

    def test_a_store_opened_for_reading_cannot_write(self, full: Path) -> None:
        before = full.read_bytes()
        store = Store.read(str(full))
        with pytest.raises(OperationalError, match="readonly"):
            start(store, make_spec(train_seed=77))
        store.close()
        assert full.read_bytes() == before

    def test_a_missing_file_reads_as_the_reported_figures_alone_and_stays_missing(self, tmp_path: Path) -> None:
        store = Store.read(str(tmp_path / "nowhere" / "board.db"))
        assert (store.runs(), store.protocols()) == ([], [])
        assert len(store.reported()) == CARRIED
        store.close()
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_file_reads_like_a_missing_one_and_can_be_filled(self, file: Path, tmp_path: Path) -> None:
        file.touch()
        before = snapshot(tmp_path)
        store = Store.read(str(file))
        assert (store.runs(), len(store.reported())) == ([], CARRIED)
        store.close()
        assert snapshot(tmp_path) == before
        writer = Store.write(str(file))
        start(writer)
        writer.close()
        assert len(Store.read(str(file)).runs()) == 1

    @pytest.mark.parametrize("name", ["what?", "run#3", "a%20b", "with space", "ümläut"])
    def test_a_path_with_odd_characters_is_that_path(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / name
        writer = Store.write(str(folder / "board.db"))
        run = start(writer)
        writer.close()
        before = snapshot(tmp_path)
        reader = Store.read(str(folder / "board.db"))
        assert reader.runs() == [run]
        reader.close()
        assert snapshot(tmp_path) == before

    def test_a_store_whose_writer_was_killed_while_it_wrote_can_be_read(self, full: Path) -> None:
        program = (
            "import os, sqlite3, sys\n"
            "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "connection.execute('PRAGMA cache_size = 1')\n"  # pages reach the file before the commit
            "connection.execute('BEGIN IMMEDIATE')\n"
            "for i in range(500):\n"
            "    row = (i + 9, i, 'x' * 400)\n"
            "    connection.execute('INSERT INTO datasets VALUES (?, ?, ?, 1, 1, 1, 1, 1, 1, NULL)', row)\n"
            "os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", program, str(full)], check=False)
        assert full.with_name("board.db-journal").stat().st_size > 0
        reader = Store.read(str(full))
        assert len(reader.runs()) == 1
        reader.close()


class TestReported:
    def test_every_figure_is_brought_in_once_and_comes_back_as_carried(self, store: Store, file: Path) -> None:
        assert store.reported() == list(reported_figures())
        again = Store.write(str(file))
        assert again.reported() == list(reported_figures())
        again.close()

    def test_opening_a_store_that_has_them_all_changes_nothing(self, full: Path, tmp_path: Path) -> None:
        before = snapshot(tmp_path)
        Store.write(str(full)).close()
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize(
        "damage",
        [
            "DELETE FROM reported WHERE id = 50",
            "UPDATE reported SET median_percent = 99.9 WHERE id = 50",
            "UPDATE reported SET statistic = 'median' WHERE id = 300",
            "UPDATE reported SET n = NULL",
            "DELETE FROM reported WHERE paper LIKE 'Pan %'",
        ],
        ids=["one is missing", "one is wrong", "a mean passes for a median", "no seeds", "a publication is missing"],
    )
    def test_a_store_of_an_older_version_gets_the_figures_of_this_one(self, full: Path, damage: str) -> None:
        with contextlib.closing(sqlite3.connect(full)) as connection, connection:
            connection.execute(damage)
        renewed = Store.write(str(full))
        assert renewed.reported() == list(reported_figures())
        renewed.close()


WRITER = """
import sys
from harness.events import BlockDone
from harness.protocols.run_spec import RunSpec
from harness.store.records import DatasetRecord
from harness.store.store import Store

file, worker = sys.argv[1], int(sys.argv[2])
spec = RunSpec(method="sat", method_settings={}, network="smallcnn", network_settings={}, dataset="digits",
               dataset_fingerprint="f", training={}, train_seed=0)
dataset = DatasetRecord("digits", "f", 1437, 360, 1, 8, 8, 10)
print("ready", flush=True)
sys.stdin.readline()
store = Store.write(file)  # all make the file, the run, the checkpoint, and the evaluation at once
run = store.start_run(spec, dataset, method_departures={}, network_departures={}, parameters=1, provenance={})
store.add_checkpoint(run.id, "last", 2, "c")
(checkpoint,) = store.run(run.id).checkpoints
evaluation = store.open_evaluation(checkpoint.id, "pgd", {}, 0, 400)
for number in range(20 * worker, 20 * worker + 20):
    verdicts = bytes((number >> bit) & 1 for bit in range(5))
    store.add_block(BlockDone(evaluation, 5 * number, verdicts, 0.0, ()))
store.close()
"""


def test_many_processes_that_write_at_once_lose_nothing(file: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(file)]
    processes = [
        subprocess.Popen([*command, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for worker in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        told = process.communicate(timeout=120)[1].decode().splitlines()
        assert [line for line in told if "is locked by another process; waiting" not in line] == []
        assert process.returncode == 0
    store = Store.read(str(file))
    (run,) = store.runs()
    (evaluation,) = run.checkpoints[0].evaluations
    assert evaluation.complete
    assert {first for first, _ in evaluation.blocks} == set(range(0, 400, 5))
    assert list(store.verdicts(evaluation.id)) == [(number >> bit) & 1 for number in range(80) for bit in range(5)]
    assert len(store.reported()) == CARRIED
    store.close()


class TestLocation:
    @pytest.fixture(autouse=True)
    def working_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv(database.VARIABLE, raising=False)

    def test_a_url_names_the_same_store_as_its_path(self, full: Path) -> None:
        by_url, by_path = Store.read(f"sqlite:///{full}"), Store.read(str(full))
        assert by_url.runs() == by_path.runs() != []
        assert start(Store.write(f"sqlite:///{full}")) == by_path.runs()[0]

    def test_the_option_wins_over_the_variable_which_wins_over_the_default(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert database.locate(None).database == "leaderboard.db"
        monkeypatch.setenv("HARNESS_DB", "of-the-variable.db")
        assert database.locate(None).database == "of-the-variable.db"
        assert database.locate("of-the-option.db").database == "of-the-option.db"
        monkeypatch.setenv("HARNESS_DB", "postgresql://host/board")
        assert database.locate(None).get_backend_name() == "postgresql"

    def test_the_variable_is_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARNESS_DB", "there/mine.db")
        store = Store.write()
        start(store)
        store.close()
        assert len(Store.read().runs()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["there"]

    def test_a_tilde_is_the_home_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert database.locate("~/mine.db").database == str(tmp_path / "mine.db")
