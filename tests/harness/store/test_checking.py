"""Checking a database: what harness stored is sound, and each kind of damage is named with its row."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import zlib
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.identity import digest
from harness.store import checked_rows, database
from harness.store.checking import check_database
from harness.store.database import upgrade_database
from harness.store.store import Store

ROOT = Path(__file__).parents[3]
OLD = sorted((ROOT / "tests/assets").glob("schema-*.db"))


def change(file: Path, statement: str, *values: object) -> None:
    """Change rows as another program could, which enforces nothing."""
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(statement, values).rowcount != 0


def found(file: Path) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in check_database(str(file)).problems]


def test_the_published_database_is_sound_and_is_left_alone() -> None:
    file = ROOT / "leaderboard.db"
    before = file.read_bytes(), file.stat().st_mtime_ns, sorted(path.name for path in ROOT.iterdir())
    checked = check_database(str(file))
    assert checked.problems == ()
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(path.name for path in ROOT.iterdir())) == before
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        counts = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM evaluations), sum(examples) FROM blocks"
        assert connection.execute(counts).fetchone() == (checked.runs, checked.evaluations, checked.verdicts)


@pytest.mark.parametrize("old", OLD, ids=lambda file: file.stem)
def test_an_older_database_is_sound_after_its_upgrade_and_refused_before(old: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(old, tmp_path / "board.db"))
    with pytest.raises(StoreError, match=r"older schema .* `harness db upgrade`"):
        check_database(str(file))
    upgrade_database(str(file), backup=False)
    assert found(file) == []


def test_what_the_store_writes_in_every_table_is_sound(full: Path) -> None:
    with contextlib.closing(sqlite3.connect(full)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        empty = [table for table in tables if not connection.execute(f"SELECT 1 FROM {table}").fetchone()]
    assert empty == ["removed_attempts"]
    assert found(full) == []


RUN, EVALUATION = "run 1", "run 1, last, pgd, seed 0 (evaluation 1)"
BLOCK = f"{EVALUATION}, block from image 0"
NESTED = "{" + '"a":{' * 200 + "}" * 201


@pytest.mark.parametrize(
    ("statement", "values", "expected"),
    [
        (
            "UPDATE blocks SET correct = 2",
            (),
            f"{BLOCK}: it counts 2 images as right, and its verdicts 1",
        ),
        (
            "UPDATE blocks SET verdicts = x'ffff'",
            (),
            f"{BLOCK}: bits behind its last image are set",
        ),
        (
            "UPDATE blocks SET verdicts = x'80'",
            (),
            f"{BLOCK}: its verdicts are 1 bytes, and 10 images need 2",
        ),
        (
            "UPDATE blocks SET margins = x'00'",
            (),
            f"{BLOCK}: its column margins has 1 bytes, and 10 images need 20",
        ),
        ("UPDATE blocks SET predicted = x''", (), f"{BLOCK}: its column predicted has 0 bytes, and 10"),
        ("UPDATE blocks SET start = 5", (), f"{EVALUATION}: its blocks end at 15, and it has 10 images"),
        (
            "INSERT INTO blocks (evaluation_id, start, examples, correct, verdicts, duration_s, warnings)"
            " VALUES (1, 9, 1, 0, x'00', 0.5, '[]')",
            (),
            f"{EVALUATION}: its block at 9 begins before the block ahead of it ends",
        ),
        ("UPDATE blocks SET warnings = '[1]'", (), f"{BLOCK}: its warnings or its duration"),
        ("UPDATE blocks SET verdicts = 'text'", (), "blocks 1 0: verdicts is no blob"),
        ("UPDATE run_states SET at_utc = '1970-01-01 00:00:00'", (), "state 1 of run 1: its date 1970-01-01"),
        ("UPDATE leases SET expires = 9e999", (), "lease 1: it never ends"),
        ("UPDATE leases SET process = x'05'", (), "leases 1: process is no text"),
        ("UPDATE evaluations SET examples = 361", (), f"{EVALUATION}: it has 361 images of 360"),
        ("UPDATE evaluations SET settings = '{}'", (), f"{EVALUATION}: its settings are not those of their hash"),
        ("UPDATE evaluations SET settings = '{'", (), "evaluations 1: settings is no JSON"),
        ("UPDATE evaluations SET settings = '[]'", (), "evaluations 1: settings is no JSON object"),
        ("UPDATE evaluations SET settings = ?", (NESTED,), "evaluations 1: settings is nested deeper than 100 levels"),
        ("UPDATE evaluations SET settings = ?", (f'{{"a":{"9" * 5000}}}',), "evaluations 1: settings is no JSON"),
        ("UPDATE evaluations SET created_utc = 'now'", (), "evaluations 1: created_utc is no date"),
        ("UPDATE evaluations SET created_utc = '2999-01-01 00:00:00'", (), f"{EVALUATION}: its date 2999-01-01 00:00"),
        ("UPDATE runs SET identity = ?", ("0" * 64,), f"{RUN}: its identity is not that of its settings"),
        ("UPDATE runs SET train_seed = 4", (), f"{RUN}: its identity is not that of its settings"),
        ("UPDATE runs SET training = '{}'", (), f"{RUN}: its training is not that of its hash"),
        ("UPDATE runs SET folder = '/tmp/x'", (), f"{RUN}: its folder '/tmp/x' is not one folder below --runs-dir"),
        ("UPDATE runs SET folder = '..'", (), f"{RUN}: its folder '..' is not one folder below --runs-dir"),
        ("UPDATE runs SET folder = 'other'", (), f"{RUN}: its folder 'other' is not named after it"),
        ("UPDATE runs SET wrappers = '[{}]'", (), f"{RUN}: its wrappers are not names with settings"),
        ("UPDATE runs SET tags = '[[]]'", (), f"{RUN}: its tags are no texts"),
        ("UPDATE runs SET finished_utc = '2020-01-01 00:00:00'", (), f"{RUN}: it ended on 2020-01-01 00:00, before it"),
        ("UPDATE runs SET method = CAST(x'ff' AS TEXT)", (), "runs 1: method is no UTF-8"),
        ("UPDATE datasets SET height = '8; import os'", (), "datasets 1: height is no integer"),
        ("UPDATE datasets SET classes = 0", (), "data set digits: its classes are 0"),
        ("UPDATE models SET identity = 'x'", (), "model theirs: its identity is not that of its weights and data set"),
        ("UPDATE checkpoints SET sha256 = 'x'", (), "run 1, last: 'x' is no SHA-256"),
        ("UPDATE checkpoints SET name = '../last' WHERE id = 1", (), "run 1, ../last: a run has no such checkpoint"),
        (
            "UPDATE curve_points SET correct = 129",
            (),
            f"{RUN}, curve of pgd on test images, epoch 1: 129 of 128",
        ),
        ("UPDATE curves SET images = 361", (), f"{RUN}, curve of pgd on test images: it has 361 images of 360"),
        ("UPDATE curves SET settings = '{}'", (), f"{RUN}, curve of pgd on test images: its settings are not those"),
        ("UPDATE histograms SET counts = '[-1]'", (), f"{RUN}, epoch 1: the histogram weight has no counts"),
        ("UPDATE epochs SET duration_s = 'long'", (), "epochs 1 1: duration_s is no number"),
        ("UPDATE adversarial_images SET place = 10", (), f"{EVALUATION}: image 10 is beyond its 10 images"),
        ("UPDATE adversarial_images SET pixels = x'ffff'", (), f"{EVALUATION}: image 0 cannot be unpacked"),
        (
            "UPDATE adversarial_images SET pixels = ?",
            (zlib.compress(bytes(10**7)),),
            f"{EVALUATION}: image 0 is not one image of 256 bytes",
        ),
        ("UPDATE examinations SET settings = '{}'", (), "model theirs, examination 1: its settings are not those"),
        ("UPDATE findings SET mark = 'long'", (), "finding 0 of examination 1: its mark is longer than one character"),
        ("UPDATE protocols SET fingerprint = ?", ("0" * 64,), "protocol digits 00000000: its document is not that of"),
        ("UPDATE protocols SET training = '{}'", (), "its training is not that of its hash"),
        ("UPDATE protocols SET document = '{}'", (), "its document is no protocol: "),
        ("UPDATE protocols SET attacks = '{}'", (), "its document has other attacks than its hashes"),
        ("UPDATE reported SET median_percent = 101 WHERE id = 1", (), "reported figure 1: 101.0 % cannot be"),
    ],
)
def test_a_row_that_cannot_be_is_named(full: Path, statement: str, values: tuple[object, ...], expected: str) -> None:
    change(full, statement, *values)
    problems = found(full)
    assert any(expected in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_a_changed_setting_with_its_hash_gives_away_the_run_by_its_identity(full: Path) -> None:
    """Whoever changes the training budget and its hash has another run."""
    training = {"epsilon": 0.05, "epochs": 2}
    change(full, "UPDATE runs SET training = ?, training_sha256 = ?", json.dumps(training), digest(training))
    assert found(full)[0] == "run 1: its identity is not that of its settings"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DROP TABLE histograms", "table histograms: it is missing"),
        ("ALTER TABLE runs ADD COLUMN more TEXT", "table runs: its columns are not those of schema"),
        ("DROP INDEX ix_runs_training_sha256", "table runs: its indexes are not those of schema"),
        ("DROP VIEW runs_overview", "view runs_overview: it is not that of schema"),
        ("CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM blocks; END", "trigger t: it changes rows unseen"),
    ],
)
def test_another_schema_is_named(full: Path, statement: str, expected: str) -> None:
    with contextlib.closing(sqlite3.connect(full)) as connection, connection:
        connection.execute(statement)
    assert any(problem.startswith(expected) for problem in found(full))


def test_views_and_tables_of_others_are_left_alone(full: Path) -> None:
    with contextlib.closing(sqlite3.connect(full)) as connection, connection:
        connection.execute("CREATE VIEW mine AS SELECT id FROM runs")
        connection.execute("CREATE TABLE theirs (x)")
    assert found(full) == []


def test_a_column_without_its_constraints_is_named(full: Path) -> None:
    with contextlib.closing(sqlite3.connect(full)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'CHECK (correct BETWEEN 0 AND examples)', 'CHECK (1)')"
            " WHERE name = 'blocks'"
        )
    assert found(full) == [f"table blocks: its checks are not those of schema {database.REVISION}"]


def test_a_row_that_refers_to_nothing_is_named(full: Path) -> None:
    change(full, "UPDATE checkpoints SET run_id = 77 WHERE run_id IS NOT NULL")
    assert found(full) == ["checkpoints, row 1: it refers to a row of runs that is not there"]


def test_a_damaged_page_is_named_and_no_row_is_read(full: Path) -> None:
    with contextlib.closing(sqlite3.connect(full)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'blocks'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(full.read_bytes())
    content[(page - 1) * size : page * size] = b"\xaa" * size
    full.write_bytes(content)
    checked = check_database(str(full))
    assert checked.problems
    assert {problem.where for problem in checked.problems} == {"the file"}
    assert ".recover" in checked.problems[0].remedy


def test_only_so_many_problems_are_kept_and_the_others_counted(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(full, "UPDATE reported SET median_percent = 101")
    monkeypatch.setattr(checked_rows, "MOST_PROBLEMS", 3)
    checked = check_database(str(full))
    with contextlib.closing(sqlite3.connect(full)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM reported").fetchone()
    assert (len(checked.problems), checked.more) == (3, count - 3)


def test_control_characters_of_a_row_are_escaped(full: Path) -> None:
    change(full, "UPDATE models SET name = ?, identity = 'x'", "\x1b[31m\nred\u202e")
    (problem,) = found(full)
    assert problem.startswith("model \\x1b[31m\\nred\\u202e: ")


def test_what_is_no_database_of_harness_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("a text, which is long enough" * 100)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE runs (id)")
    (tmp_path / "empty.db").touch()
    for name, reason in (
        ("text", "not a database"),
        ("other", "another program"),
        ("empty", "no data"),
        ("no", "no d"),
    ):
        with pytest.raises(StoreError, match=reason):
            check_database(str(tmp_path / f"{name}.db"))
    with pytest.raises(StoreError, match="it is in memory"):
        check_database("sqlite://")


def test_a_database_that_is_written_to_is_checked_as_of_one_moment(full: Path) -> None:
    """The run of a transaction that has not ended is not seen, nor half of what belongs to it."""
    writer = sqlite3.connect(full, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE blocks SET correct = 9")
    assert found(full) == []
    writer.execute("ROLLBACK")
    writer.close()
    Store.write(str(full)).close()
