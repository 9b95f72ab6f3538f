"""Upgrading: a database of every released schema comes to the newest one, whole, after a copy was made."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.events import BlockDone
from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.statistics.figures import Figure
from harness.store import database, migrations
from harness.store.backup import back_up
from harness.store.database import locate, schema_of, upgrade_database
from harness.store.merging import merge_database
from harness.store.store import Store
from harness.targets.probe import same_function
from tests import stores

ASSETS = Path(__file__).parents[2] / "assets"
OLD = sorted(ASSETS.glob("schema-*.db"))


def rows(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, by the columns of the old schema."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: connection.execute(f"SELECT * FROM {table}").fetchall()
            for table in tables
            if table != "harness_schema_version"
        }


def figures(location: str) -> dict[str, object]:
    """The figures of the only row that was measured."""
    store = Store.read(location)
    (board,) = [board for board in boards(store) if board.source == MEASURED]
    store.close()
    return dict(board.rows[0].metrics)


@pytest.fixture(params=OLD, ids=lambda file: file.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copy(request.param, tmp_path / "board.db"))


def test_there_is_a_database_of_every_older_schema() -> None:
    assert [file.stem.removeprefix("schema-") for file in OLD] == list(database.OLDER_REVISIONS)


def test_no_row_is_lost_and_the_copy_holds_the_old_rows(old: Path) -> None:
    before = rows(old)
    revision, copy = upgrade_database(str(old))
    assert revision in database.OLDER_REVISIONS
    assert copy == old.with_name(f"board.schema-{revision}.db")
    assert rows(copy) == before
    after = rows(old)
    for table, lines in before.items():
        kept = [line[: len(lines[0])] for line in after[table]] if lines else after[table]
        assert kept == lines, table
    assert before["blocks"]  # else nothing was shown
    assert len(before["evaluations"]) == 3


def test_what_was_upgraded_can_be_read_and_written(old: Path) -> None:
    old_revision, _ = upgrade_database(str(old))
    store = Store.write(str(old))
    (run,) = store.runs()
    checkpoint = run.checkpoint("last")
    assert checkpoint is not None
    assert [(e.attack, e.seed, e.complete) for e in checkpoint.evaluations] == [
        ("natural", 0, True),
        ("pgd", 0, True),
        ("pgd", 1, True),
    ]
    margins = store.margins(checkpoint.evaluations[0].id)
    assert (margins is None) == (old_revision in ("0001", "0002"))  # they were not kept then
    (board,) = [board for board in boards(store) if board.source == MEASURED]
    assert board.rows[0].metrics["pgd"] is not None
    number = store.open_evaluation(checkpoint.id, "pgd", {"steps": 1}, 0, 2)
    store.add_block(BlockDone(number, 0, bytes([1, 0]), 0.1, (), (0.5, -0.5)))
    assert store.margins(number) == [0.5, -0.5]
    store.close()


def test_an_upgraded_database_has_the_views_with_the_figures_of_its_board(old: Path) -> None:
    upgrade_database(str(old))
    with contextlib.closing(sqlite3.connect(old)) as connection:
        found = dict(connection.execute("SELECT attack, median_percent FROM leaderboard_by_network").fetchall())
    known = figures(str(old))
    medians = {attack: figure.median for attack, figure in known.items() if isinstance(figure, Figure)}
    assert found == {attack: medians[attack] for attack in ("natural", "pgd")}


def test_an_older_database_is_merged_after_its_upgrade_and_not_before(old: Path, tmp_path: Path) -> None:
    into = str(tmp_path / "into.db")
    with pytest.raises(StoreError, match=r"older schema .*: upgrade a copy of it, by `harness db copy .*`"):
        merge_database(str(old), into, same_function)
    assert not Path(into).exists()
    upgrade_database(str(old))
    merged = merge_database(str(old), into, same_function)
    assert (merged.runs, merged.evaluations, merged.left) == (1, 3, [])
    assert figures(into) == figures(str(old)) != {}


def test_the_views_of_others_are_kept(old: Path) -> None:
    """SQLite refuses to rebuild a table that a view reads, and a view may read another one."""
    with contextlib.closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("CREATE VIEW done AS SELECT id, method FROM runs WHERE status = 'done'")
        connection.execute("CREATE VIEW sat AS SELECT id FROM done WHERE method = 'sat'")
    upgrade_database(str(old), backup=False)
    with contextlib.closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT count(*) FROM done").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM sat").fetchone()[0] <= 1


def test_upgraded_rows_have_no_remarks_and_their_numbers_are_not_given_again(old: Path) -> None:
    upgrade_database(str(old), backup=False)
    store = Store.write(str(old))
    assert {(run.note, run.tags) for run in store.runs()} == {(None, ())}
    assert {(model.note, model.tags) for model in store.models()} <= {(None, ())}
    numbers = {e.id for run in store.runs() for c in run.checkpoints for e in c.evaluations}
    (run,) = store.runs()
    store.remove([run])
    again = stores.start(store, stores.make_spec())
    assert again.id == run.id + 1
    number = store.open_evaluation(stores.add_checkpoint(store, again).id, "pgd", {}, 0, 2)
    assert number > max(numbers)
    store.close()


def test_the_newest_schema_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "board.db"
    Store.write(str(file)).close()
    before = file.read_bytes()
    assert upgrade_database(str(file)) == (database.REVISION, None)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["board.db"]


def test_a_step_that_fails_leaves_the_old_database(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(old)
    whole = migrations.upgrade

    def interrupted(connection: object) -> None:
        whole(connection)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "upgrade", interrupted)
        with pytest.raises(KeyboardInterrupt):
            upgrade_database(str(old), backup=False)
    assert rows(old) == before
    upgrade_database(str(old))


def test_a_database_whose_rows_refer_to_nothing_is_left(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE checkpoints SET run_id = 77 WHERE run_id IS NOT NULL")
    before = rows(old)
    with pytest.raises(AssertionError, match="references"):
        upgrade_database(str(old), backup=False)
    assert rows(old) == before


class Stopping(sqlite3.Connection):
    """Copies all, and is stopped before it has said so."""

    def backup(self, target: sqlite3.Connection, **_: object) -> None:
        super().backup(target)
        raise KeyboardInterrupt


def test_a_copy_that_was_stopped_is_none(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Stopping))
        with pytest.raises(KeyboardInterrupt):
            upgrade_database(str(old))
    assert {path.name: path.read_bytes() for path in old.parent.iterdir()} == {old.name: before}
    assert upgrade_database(str(old))[1] is not None


def make_nothing(file: Path) -> None:
    pass


def make_empty(file: Path) -> None:
    file.touch()


def make_other(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")


def make_newer(file: Path) -> None:
    Store.write(str(file)).close()
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE harness_schema_version SET version_num = '9999'")


def make_taken(file: Path) -> None:
    shutil.copy(OLD[0], file)
    file.with_name(f"{file.stem}.{OLD[0].stem}.db").write_text("mine")


def test_an_upgrade_that_was_killed_after_its_copy_goes_on(old: Path) -> None:
    copy = old.with_name(f"board.schema-{schema_of(locate(str(old)))}.db")
    back_up(old, copy)
    kept = copy.read_bytes()
    assert upgrade_database(str(old))[1] == copy
    assert copy.read_bytes() == kept
    assert schema_of(locate(str(old))) == database.REVISION


def test_a_copy_of_other_rows_is_not_taken_for_the_one_of_an_upgrade(old: Path) -> None:
    copy = old.with_name(f"board.schema-{schema_of(locate(str(old)))}.db")
    back_up(old, copy)
    with contextlib.closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE runs SET parameters = parameters + 1")
    with pytest.raises(StoreError, match="is taken; move that file away"):
        upgrade_database(str(old))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_nothing, "there is no database"),
        (make_empty, "there is no database"),
        (make_other, "of another program"),
        (make_newer, "newer than .*: update harness"),
        (make_taken, "is taken; move that file away"),
    ],
)
def test_what_cannot_be_upgraded_is_refused_and_left(make: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    file = tmp_path / "board.db"
    make(file)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StoreError, match=reason) as caught:
        upgrade_database(str(file))
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
