"""The database itself refuses nonsense, and a file that is no store is refused."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

from harness.errors import StoreError
from harness.store import database
from harness.store.schema_base import VERSION_TABLE
from harness.store.store import Store
from tests.harness.store.entries import make_spec, snapshot, start, start_evaluation


class TestIdentity:
    def test_the_same_run_opened_twice_is_one(self, store: Store) -> None:
        first = start(store)
        assert start(store) == first
        assert [run.id for run in store.runs()] == [first.id]

    def test_attempts_are_kept_and_the_newest_is_found(self, store: Store) -> None:
        spec, other = make_spec(), make_spec(train_seed=9)
        second, first = start(store, spec, attempt=2), start(store, spec, attempt=1)
        start(store, other)
        assert [run.attempt for run in store.runs()] == [2, 1, 1]
        assert store.newest_attempt(spec.identity) == second
        assert store.newest_attempt("0" * 64) is None
        assert len({run.folder for run in store.runs()}) == 3
        assert first.folder + "-2" == second.folder

    def test_runs_on_one_data_set_share_its_row(self, store: Store, file: Path) -> None:
        start(store)
        start(store, make_spec(train_seed=4))
        with contextlib.closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT count(*) FROM datasets").fetchone() == (1,)

    def test_the_same_evaluation_opened_twice_is_one(self, store: Store) -> None:
        run = start(store)
        first = start_evaluation(store, run)
        assert start_evaluation(store, run) == first
        others = [
            start_evaluation(store, run, **change)
            for change in ({"attack": "cw"}, {"settings": {"steps": 21}}, {"seed": 1}, {"examples": 9})
        ]
        assert len({first, *others}) == 5


NONSENSE = {
    "more right than there are": ("UPDATE blocks SET correct = examples + 1", "correct_in_range"),
    "fewer right than none": ("UPDATE blocks SET correct = -1", "correct_in_range"),
    "a block before the first image": ("UPDATE blocks SET start = -1", "start_counted"),
    "a block of no evaluation": ("UPDATE blocks SET evaluation_id = 99", "FOREIGN KEY"),
    "a block without verdicts": ("UPDATE blocks SET verdicts = NULL", "NOT NULL"),
    "an evaluation on no image": ("UPDATE evaluations SET examples = 0", "examples_positive"),
    "an evaluation of no checkpoint": ("UPDATE evaluations SET checkpoint_id = 99", "FOREIGN KEY"),
    "an evaluation twice": (
        "INSERT INTO evaluations SELECT 99, checkpoint_id, attack, settings, settings_sha256, seed, examples,"
        " created_utc, provenance, sample, attempt FROM evaluations",
        "UNIQUE",
    ),
    "a checkpoint of no run": ("UPDATE checkpoints SET run_id = 99 WHERE run_id = 1", "FOREIGN KEY"),
    "a checkpoint of a run and of a model": ("UPDATE checkpoints SET model_id = 1 WHERE run_id = 1", "one_owner"),
    "a checkpoint of nothing": ("UPDATE checkpoints SET model_id = NULL", "one_owner"),
    "a checkpoint of a run after no epoch": ("UPDATE checkpoints SET epoch = NULL WHERE run_id = 1", "epoch_of_a_run"),
    "a checkpoint twice": (
        "INSERT INTO checkpoints SELECT 99, run_id, name, 3, sha256, NULL FROM checkpoints WHERE run_id = 1",
        "UNIQUE",
    ),
    "a model with two checkpoints": (
        "INSERT INTO checkpoints SELECT 99, NULL, 'x', NULL, sha256, model_id FROM checkpoints WHERE model_id = 1",
        "UNIQUE",
    ),
    "two models of one name": (
        "INSERT INTO models SELECT 99, 'x', name, network, network_settings, network_departures, dataset_id,"
        " parameters, created_utc, provenance, code, probe, note, tags FROM models",
        "UNIQUE",
    ),
    "an examination twice": (
        "INSERT INTO examinations SELECT 99, checkpoint_id, settings, settings_sha256, created_utc, duration_s,"
        " provenance FROM examinations",
        "UNIQUE",
    ),
    "a finding of an unknown status": ("UPDATE findings SET status = 'odd'", "status_known"),
    "an epoch of no run": ("UPDATE epochs SET run_id = 99", "FOREIGN KEY"),
    "a run on no data set": ("UPDATE runs SET dataset_id = 99", "FOREIGN KEY"),
    "a data set that a run is on goes": ("DELETE FROM datasets", "FOREIGN KEY"),
    "an unknown status": ("UPDATE runs SET status = 'paused'", "status_known"),
    "a failure without a reason": ("UPDATE runs SET status = 'failed'", "failure_explained"),
    "a reason without a failure": ("UPDATE runs SET failure = 'none'", "failure_explained"),
    "a success with a reason": ("UPDATE runs SET status = 'done', failure = 'none'", "failure_explained"),
    "attempt zero": ("UPDATE runs SET attempt = 0", "attempt_counted"),
    "a protocol twice": (
        "INSERT INTO protocols SELECT 99, fingerprint, 'x', training, training_sha256, attacks, document"
        " FROM protocols",
        "UNIQUE",
    ),
    "a reported cell twice": (
        "INSERT INTO reported SELECT 999, paper, paper_table, dataset, network, method, checkpoint, metric, 1, 1, '',"
        " statistic, n FROM reported LIMIT 1",
        "UNIQUE",
    ),
}


class TestTheDatabaseItselfRefuses:
    @pytest.mark.parametrize(("statement", "constraint"), NONSENSE.values(), ids=NONSENSE)
    def test_nonsense(self, full: Path, statement: str, constraint: str) -> None:
        engine = database.open_for_writing(URL.create("sqlite", database=str(full)))
        with pytest.raises(IntegrityError, match=constraint), engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def test_a_run_takes_all_that_hangs_on_it_with_it(self, full: Path) -> None:
        engine = database.open_for_writing(URL.create("sqlite", database=str(full)))
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM runs"))
            for table, left in {"epochs": 0, "checkpoints": 1, "evaluations": 0, "blocks": 0, "findings": 2}.items():
                assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == left
            connection.execute(text("DELETE FROM models"))
            for table in ("checkpoints", "examinations", "findings"):
                assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0
        engine.dispose()


def make_text(file: Path) -> None:
    file.write_text("these are my notes, and no database at all\n" * 100)


def make_other_program(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR)")  # as MLflow's or Optuna's
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        connection.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY)")


def make_newer(file: Path) -> None:
    Store.write(str(file)).close()
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")


def make_directory(file: Path) -> None:
    file.mkdir()


REFUSED = {
    "a text": (make_text, "is not a database"),
    "another program's": (make_other_program, "of another program"),
    "a newer schema": (make_newer, "9999.*update harness"),
    "a directory": (make_directory, "cannot be opened"),
}


class TestRefused:
    @pytest.mark.parametrize("opening", [Store.read, Store.write], ids=["read", "write"])
    @pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
    def test_a_place_that_holds_something_else(
        self, make: Callable[[Path], None], reason: str, opening: Callable[[str], Store], file: Path, tmp_path: Path
    ) -> None:
        make(file)
        before = snapshot(tmp_path)
        with pytest.raises(StoreError, match=reason) as caught:
            opening(str(file))
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert snapshot(tmp_path) == before

    def test_a_directory_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "notes").write_text("mine")
        with pytest.raises(StoreError, match="give another --db"):
            Store.write(str(tmp_path / "notes" / "board.db"))
        assert snapshot(tmp_path).keys() == {"notes"}

    def test_an_older_schema_is_told_from_a_newer(self, full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with contextlib.closing(sqlite3.connect(full)) as connection, connection:
            connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0000'")
        monkeypatch.setattr(database, "OLDER_REVISIONS", ("0000",))
        with pytest.raises(StoreError, match=f"older schema 0000; .* {database.REVISION}: `harness db upgrade`"):
            Store.read(str(full))

    @pytest.mark.parametrize("url", ["postgresql://me:hunter2@host:port/x", "://me:hunter2@host", "a b://me:hunter2@x"])
    def test_what_is_no_url_is_refused_without_its_password(self, url: str) -> None:
        with pytest.raises(StoreError) as refusal:
            database.locate(url)
        assert "it is no URL such as sqlite:///file.db, or its port is no number" in str(refusal.value)
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize("url", ["nonsense://x", "://x", "postgresql+nonsense://host/x"])
    def test_a_url_that_leads_nowhere(self, url: str) -> None:
        for opening in (Store.read, Store.write):
            with pytest.raises(StoreError) as caught:
                opening(url)
            assert "\n" not in str(caught.value)

    def test_a_password_is_not_told(self) -> None:
        with pytest.raises(StoreError) as caught:
            Store.read("postgresql+nonsense://me:hunter2@host/board")
        assert "hunter2" not in str(caught.value)
