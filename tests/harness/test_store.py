"""The store: what is put in comes out, the database itself refuses nonsense, and reading never touches a file."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, OperationalError

from harness.errors import StoreError
from harness.events import BlockDone, EpochRecord
from harness.reference import reported_figures
from harness.rigour.finding import Finding
from harness.rigour.scope import Scope
from harness.spec import RunSpec
from harness.store import database, migrations
from harness.store.records import (
    DatasetRecord,
    ModelRecord,
    ProtocolRecord,
    RunRecord,
)
from harness.store.schema import VERSION_TABLE, Base
from harness.store.store import Store
from harness.store.verdicts import pack, unpack
from tests.tiny import PROTOCOL_DOCUMENT

DIGITS = DatasetRecord("digits", "f" * 64, 1437, 360, 1, 8, 8, 10)
CARRIED = 104 + 2 * 21 * 6  # cells of Gao et al.; of Pan and Yao data sets, methods, and metrics


def make_spec(**changes: Any) -> RunSpec:
    spec = RunSpec(
        method="sat",
        method_settings={"strength": 1.5},
        network="smallcnn",
        network_settings={"width": 4},
        dataset=DIGITS.name,
        dataset_fingerprint=DIGITS.fingerprint,
        training={"epsilon": 0.1, "epochs": 2},
        train_seed=3,
    )
    return dataclasses.replace(spec, **changes)


def start(store: Store, spec: RunSpec | None = None, attempt: int = 1) -> RunRecord:
    return store.start_run(
        spec or make_spec(),
        DIGITS,
        method_departures={"strength": 1.5},
        network_departures={"width": 4},
        parameters=1234,
        provenance={"device": "cpu", "threads": 1},
        attempt=attempt,
    )


def start_evaluation(store: Store, run: RunRecord, **changes: Any) -> int:
    """The number of an evaluation of the run's last checkpoint."""
    store.add_checkpoint(run.id, "last", 2, "c" * 64)
    checkpoint = store.run(run.id).checkpoint("last")
    assert checkpoint is not None
    key: dict[str, Any] = {"checkpoint_id": checkpoint.id, "attack": "pgd", "settings": {"steps": 20}, "seed": 0}
    return store.open_evaluation(**(key | {"examples": 10} | changes), provenance={"device": "cpu"})


def see_model(store: Store, name: str = "theirs", **changes: Any) -> ModelRecord:
    """A model from elsewhere, evaluated on nothing yet."""
    facts: dict[str, Any] = {"network": "resnet", "network_settings": {"depth": 2}, "parameters": 99}
    facts |= {"network_departures": {"depth": 2}}
    facts |= {"sha256": "d" * 64, "provenance": {"file": "theirs.pt"}}
    return store.see_model(name, DIGITS, **(facts | changes))


FINDINGS = (
    Finding("logits", "passed", "", None, None, "the outputs are logits", {}),
    Finding("zero-gradient", "flagged", "g", 0.5, 0.01, "half the gradients are zero", {"ce": 0.5}),
)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "board.db"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs; copying it takes less time than making one."""
    file = tmp_path_factory.mktemp("template") / "board.db"
    Store.write(str(file)).close()
    return file


@pytest.fixture
def store(file: Path, template: Path) -> Iterator[Store]:
    shutil.copy(template, file)
    store = Store.write(str(file))
    yield store
    store.close()


@pytest.fixture
def full(store: Store, file: Path) -> Path:
    """The file of a store that has a row in every table."""
    run = start(store)
    store.see_protocol(ProtocolRecord("p" * 64, "tiny", "t" * 64, {"pgd": "a"}, {"epsilon": 0.1}), {"epochs": 2})
    store.add_epoch(run.id, EpochRecord(1, 2.5, 0.1, 1437, 0.5, {"weight": 1.0}))
    store.add_block(BlockDone(start_evaluation(store, run), 0, bytes(10), 0.1, (), (0.5,) * 10))
    model = see_model(store)
    store.add_examination(model.checkpoint.id, {"epsilon": 0.2}, FINDINGS, 1.5, {"device": "cpu"})
    return file


class TestRoundTrips:
    def test_a_run(self, store: Store) -> None:
        before = datetime.now(UTC).replace(tzinfo=None)
        wrapped = make_spec(wrappers=({"name": "awp", "settings": {"gamma": 0.01}, "departures": {}},))
        started = start(store, wrapped)
        found = store.run(started.id)
        assert found == started
        assert before <= found.created_utc <= datetime.now(UTC).replace(tzinfo=None)
        for name in set(RunSpec.__dataclass_fields__) & set(RunRecord.__dataclass_fields__) - {"dataset", "wrappers"}:
            assert getattr(found, name) == getattr(wrapped, name)
        assert found.dataset == DIGITS
        assert found.wrappers == list(wrapped.wrappers)
        assert found.identity == wrapped.identity
        assert (found.status, found.failure, found.finished_utc) == ("running", None, None)
        assert (found.parameters, found.provenance) == (1234, {"device": "cpu", "threads": 1})
        assert (found.method_departures, found.network_departures) == ({"strength": 1.5}, {"width": 4})
        assert (found.epochs, found.checkpoints) == ((), ())
        assert found.folder == f"{wrapped.label}-{wrapped.identity[:8]}"

    def test_the_end_of_a_run(self, store: Store) -> None:
        good, bad = start(store), start(store, make_spec(train_seed=4))
        store.end_run(good.id)
        store.end_run(bad.id, failure="the loss is not finite at epoch 1, batch 7")
        good, bad = store.run(good.id), store.run(bad.id)
        assert (good.status, good.failure) == ("done", None)
        assert (bad.status, bad.failure) == ("failed", "the loss is not finite at epoch 1, batch 7")
        assert good.finished_utc is not None
        assert good.finished_utc >= good.created_utc

    def test_an_epoch_that_is_told_twice_is_kept_once_as_told_last(self, store: Store) -> None:
        run = start(store)
        second, first = EpochRecord(2, 1.25, 0.01, 1437, 0.5, {"weight": 0.75}), EpochRecord(1, 2.0, 0.1, 1437, 0.25)
        store.add_epoch(run.id, dataclasses.replace(second, loss=9.0, diagnostics={}))
        store.add_epoch(run.id, first)
        store.add_epoch(run.id, second)
        assert store.run(run.id).epochs == (first, second)

    def test_a_checkpoint_takes_a_new_hash_until_it_is_evaluated(self, store: Store) -> None:
        run = start(store)
        store.add_checkpoint(run.id, "last", 2, "a" * 64)
        store.add_checkpoint(run.id, "early", 1, "e" * 64)
        store.add_checkpoint(run.id, "last", 2, "b" * 64)
        assert [(c.name, c.epoch, c.sha256[0]) for c in store.run(run.id).checkpoints] == [
            ("early", 1, "e"),
            ("last", 2, "b"),
        ]
        start_evaluation(store, run)
        store.add_checkpoint(run.id, "last", 2, "d" * 64)
        checkpoint = store.run(run.id).checkpoint("last")
        assert checkpoint is not None
        assert checkpoint.sha256 != "d" * 64
        assert store.run(run.id).checkpoint("middle") is None

    def test_blocks_by_hand(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store))
        store.add_block(BlockDone(evaluation, 8, bytes([1, 0]), 0.5, ("late", "weak")))  # out of order
        store.add_block(BlockDone(evaluation, 0, bytes([1, 1, 0, 1]), 0.25, ("weak",)))
        (half,) = store.runs()[0].checkpoints[0].evaluations
        assert (half.done, half.correct, half.complete, half.percent) == (6, 4, False, 400 / 6)
        store.add_block(BlockDone(evaluation, 4, bytes([0, 0, 0, 1]), 0.25, ()))
        (whole,) = store.runs()[0].checkpoints[0].evaluations
        assert (whole.done, whole.correct, whole.complete, whole.percent) == (10, 5, True, 50.0)
        assert ({first for first, _ in whole.blocks}, whole.duration_s, whole.warnings) == (
            {0, 4, 8},
            1.0,
            ("weak", "late"),
        )
        assert list(store.verdicts(evaluation)) == [1, 1, 0, 1, 0, 0, 0, 1, 1, 0]

    def test_a_block_that_is_there_stays(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store))
        store.add_block(BlockDone(evaluation, 0, bytes([1, 0, 1]), 0.5, ()))
        store.add_block(BlockDone(evaluation, 0, bytes([0, 0, 0]), 9.0, ("again",)))
        assert list(store.verdicts(evaluation)) == [1, 0, 1]

    def test_a_protocol_is_seen_once(self, store: Store) -> None:
        protocol = ProtocolRecord("p" * 64, "tiny", "t" * 64, {"pgd": "a", "cw": "b"}, {"epsilon": 0.1})
        store.see_protocol(protocol, {"epochs": 2})
        store.see_protocol(dataclasses.replace(protocol, name="another name for the same"), {"epochs": 2})
        assert store.protocols() == [protocol]
        assert list(store.protocols()[0].attacks) == ["pgd", "cw"]  # their order is the board's

    @given(st.lists(st.booleans(), max_size=70).map(bytes))
    def test_verdicts_are_one_bit_each_most_significant_first(self, verdicts: bytes) -> None:
        packed = pack(verdicts)
        digits = "".join(str(v) for v in verdicts).ljust(8 * len(packed), "0")
        assert len(packed) == -(-len(verdicts) // 8)
        assert packed == (int(digits, 2).to_bytes(len(packed)) if packed else b"")
        assert unpack(packed, len(verdicts)) == verdicts

    def test_a_model_from_elsewhere(self, store: Store) -> None:
        seen = see_model(store)
        (found,) = store.models()
        assert found == seen
        assert (found.name, found.network, found.network_settings, found.parameters) == (
            *("theirs", "resnet", {"depth": 2}, 99),
        )
        assert (found.dataset, found.provenance) == (DIGITS, {"file": "theirs.pt"})
        checkpoint = found.checkpoint
        assert (checkpoint.sha256, checkpoint.epoch, checkpoint.evaluations) == ("d" * 64, None, ())

    def test_the_same_weights_on_the_same_data_are_one_model_and_take_the_newest_name(self, store: Store) -> None:
        first = see_model(store)
        assert see_model(store, "renamed").id == first.id
        assert [model.name for model in store.models()] == ["renamed"]
        assert see_model(store, "theirs.pt", rename=False) == store.models()[0]
        assert [model.name for model in store.models()] == ["renamed"]
        assert see_model(store, "another", sha256="e" * 64).id != first.id

    def test_a_name_that_nobody_chose_replaces_none(self, store: Store) -> None:
        first = see_model(store, "ours")
        see_model(store, "file.pt", sha256="e" * 64, rename=False)
        again = see_model(store, "file.pt", rename=False)
        assert (again.id, again.name) == (first.id, "ours")
        assert sorted(model.name for model in store.models()) == ["file.pt", "ours"]

    def test_the_same_weights_on_other_data_are_another_model_which_may_share_the_name(self, store: Store) -> None:
        here = see_model(store)
        other = dataclasses.replace(DIGITS, name="letters", fingerprint="9" * 64)
        facts: dict[str, Any] = {"network": "resnet", "network_settings": {}, "network_departures": {}}
        there = store.see_model("theirs", other, sha256="d" * 64, parameters=99, provenance={}, **facts)
        assert there.id != here.id
        assert there.checkpoint.id != here.checkpoint.id
        assert [model.dataset.name for model in store.models()] == ["digits", "letters"]

    def test_two_models_on_one_data_set_cannot_share_a_name(self, store: Store) -> None:
        see_model(store)
        with pytest.raises(StoreError, match="on digits is called 'theirs'; give this one another --name"):
            see_model(store, sha256="e" * 64)
        assert len(store.models()) == 1

    def test_an_examination_comes_back_in_the_order_of_its_findings_and_replaces_the_same(self, store: Store) -> None:
        number = see_model(store).checkpoint.id

        def examinations() -> list[tuple[dict[str, Any], tuple[Finding, ...], float, dict[str, Any]]]:
            found = store.models()[0].checkpoint.examinations
            return [(e.settings, e.findings, e.duration_s, e.provenance) for e in found]

        here, there = {"epsilon": 0.2}, {"device": "cpu"}
        store.add_examination(number, here, FINDINGS, 1.5, there)
        assert examinations() == [(here, FINDINGS, 1.5, there)]
        store.add_examination(number, here, FINDINGS[1:], 2.0, there)
        assert examinations() == [(here, FINDINGS[1:], 2.0, there)]
        store.add_examination(number, {"epsilon": 0.1}, FINDINGS, 1.0, there)
        assert [settings for settings, *_ in examinations()] == [here, {"epsilon": 0.1}]

    def test_findings_are_those_of_the_newest_examination_of_each_kind_in_that_evaluation(self, store: Store) -> None:
        number = see_model(store).checkpoint.id
        attacks = {"pgd": "a", "cw": "b"}
        scope = Scope.of_document(PROTOCOL_DOCUMENT, attacks, 10)
        model, verdicts = scope.settings("model"), scope.settings("verdicts")
        for settings, findings in (
            (verdicts, FINDINGS[:1]),
            (model | {"edition": 1}, FINDINGS),
            (model | {"edition": 2}, FINDINGS[1:]),
            (model | {"epsilon": 0.1}, ()),
            (model | {"examples": 9}, ()),
            (verdicts | {"attacks": attacks | {"pgd": "c"}}, ()),
        ):
            store.add_examination(number, settings, findings, 1.0, {})
        checkpoint = store.checkpoint(number)
        assert checkpoint.findings(scope) == (FINDINGS[1], FINDINGS[0])
        assert checkpoint.findings(dataclasses.replace(scope, attacks={"pgd": "a"})) == FINDINGS[1:]
        assert checkpoint.findings(dataclasses.replace(scope, examples=11)) == ()

    def test_margins_come_back_to_half_precision_in_the_order_of_the_examples(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store), examples=5)
        store.add_block(BlockDone(evaluation, 2, bytes(3), 0.5, (), (-1.0, 0.1234567, 1.0)))
        store.add_block(BlockDone(evaluation, 0, bytes(2), 0.5, (), (0.5, -0.25)))
        assert store.margins(evaluation) == [0.5, -0.25, -1.0, 0.12347412109375, 1.0]  # the nearest half to 0.1234567

    def test_margins_that_one_block_lacks_are_none(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store), examples=5)
        store.add_block(BlockDone(evaluation, 0, bytes(2), 0.5, (), (0.5, -0.25)))
        store.add_block(BlockDone(evaluation, 2, bytes(3), 0.5, ()))
        assert store.margins(evaluation) is None

    def test_no_run_of_that_number(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"no run 7; `harness runs`"):
            store.run(7)


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
        with sqlite3.connect(file) as connection:
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
        " parameters, created_utc, provenance, code, probe FROM models",
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
from harness.spec import RunSpec
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
evaluation = store.open_evaluation(checkpoint.id, "pgd", {}, 0, 400, {})
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
        assert process.communicate(timeout=120)[1].decode() == ""
        assert process.returncode == 0
    store = Store.read(str(file))
    (run,) = store.runs()
    (evaluation,) = run.checkpoints[0].evaluations
    assert evaluation.complete
    assert {first for first, _ in evaluation.blocks} == set(range(0, 400, 5))
    assert list(store.verdicts(evaluation.id)) == [(number >> bit) & 1 for number in range(80) for bit in range(5)]
    assert len(store.reported()) == CARRIED
    store.close()


def structure(engine: Engine) -> dict[str, Any]:
    """All that a database says of its tables, but for the version table."""
    found = inspect(engine)
    parts: list[Callable[[str], Any]] = [
        lambda table: [column | {"type": str(column["type"])} for column in found.get_columns(table)],
        found.get_pk_constraint,
        lambda table: sorted(found.get_unique_constraints(table), key=repr),
        lambda table: sorted(found.get_foreign_keys(table), key=repr),
        lambda table: sorted(found.get_check_constraints(table), key=repr),
        lambda table: sorted(found.get_indexes(table), key=repr),
    ]
    return {table: [part(table) for part in parts] for table in found.get_table_names() if table != VERSION_TABLE}


class TestMigrations:
    @pytest.fixture
    def migrated(self, file: Path) -> Iterator[Engine]:
        engine = database.open_for_writing(URL.create("sqlite", database=str(file)))
        yield engine
        engine.dispose()

    def test_they_produce_exactly_the_models_schema(self, migrated: Engine) -> None:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        with migrated.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, Base.metadata) == []

    def test_constraints_are_those_of_the_models_too(self, migrated: Engine) -> None:  # Alembic compares no CHECK
        engine = create_engine("sqlite://")
        Base.metadata.create_all(engine)
        assert structure(migrated) == structure(engine)
        engine.dispose()

    def test_the_newest_revision_is_the_one_that_is_asked_for(self, migrated: Engine) -> None:
        scripts = ScriptDirectory.from_config(migrations.configuration())
        revisions = [script.revision for script in scripts.walk_revisions()][::-1]
        assert revisions == [*database.OLDER_REVISIONS, database.REVISION]
        with migrated.connect() as connection:
            query = text(f"SELECT version_num FROM {VERSION_TABLE}")
            assert connection.execute(query).scalars().all() == [database.REVISION]
        assert "alembic_version" not in inspect(migrated).get_table_names()

    def test_a_step_that_is_interrupted_leaves_nothing(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = migrations.upgrade

        def interrupted(connection: Any) -> None:
            whole(connection)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(migrations, "upgrade", interrupted)
            with pytest.raises(KeyboardInterrupt):
                Store.write(str(file))
        with contextlib.closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
        store = Store.write(str(file))
        assert len(store.reported()) == CARRIED
        store.close()


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
        with pytest.raises(StoreError, match=f"older schema 0000; .* {database.REVISION}: `harness upgrade`"):
            Store.read(str(full))

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
