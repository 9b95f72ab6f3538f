"""On a server: the migrations give the schema of the models, older rows survive them, and the views say the same."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import JSON, Connection, DateTime, MetaData, create_engine, inspect, text

from harness.errors import StoreError
from harness.store import database, migrations
from harness.store.checking import check_database
from harness.store.copied_rows import content_of
from harness.store.copying import copy_database
from harness.store.database import upgrade_database
from harness.store.schema import METADATA
from harness.store.schema_base import VERSION_TABLE
from harness.store.store import Store
from tests.harness.store.entries import CARRIED
from tests.postgres import Server
from tests.varied import varied_store

OLD = sorted((Path(__file__).parents[2] / "assets").glob("schema-*.db"))
ORDERS = {"leaderboard_by_network": "protocol_fingerprint, checkpoint_id, sample, examples, attack"}


def test_the_migrations_give_exactly_the_schema_of_the_models(empty_server_url: str) -> None:
    store = Store.write(empty_server_url)
    assert len(store.reported()) == CARRIED
    store.close()
    engine = create_engine(empty_server_url)
    options = {"version_table": VERSION_TABLE, "compare_type": True}  # PostgreSQL cannot compare defaults of JSON
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
        assert inspect(connection).get_pk_constraint("blocks")["constrained_columns"] == ["evaluation_id", "start"]
    engine.dispose()
    assert check_database(empty_server_url).sound


def test_an_interrupted_beginning_leaves_nothing(empty_server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = migrations.upgrade

    def interrupted(connection: Connection) -> None:
        whole(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "upgrade", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Store.write(empty_server_url)
    assert not database.is_there(database.locate(empty_server_url))
    assert Store.read(empty_server_url).runs() == []  # as of a file that is not there


def fill_with(connection: Connection, file: Path) -> None:
    """Put the rows of an SQLite file of an older schema into the same tables on a server."""
    there = MetaData()
    there.reflect(connection)
    with contextlib.closing(sqlite3.connect(file)) as source:
        source.row_factory = sqlite3.Row
        for table in there.sorted_tables:
            if table.name == VERSION_TABLE:
                continue
            decoded = [column.name for column in table.columns if isinstance(column.type, JSON)]
            dates = [column.name for column in table.columns if isinstance(column.type, DateTime)]
            for row in map(dict, source.execute(f'SELECT * FROM "{table.name}"')):
                row |= {name: json.loads(row[name]) for name in decoded if row[name] is not None}
                row |= {name: text(f"'{row[name]}'") for name in dates if row[name] is not None}
                row = {name: value for name, value in row.items() if value is not None}
                connection.execute(table.insert().values(**row))


@pytest.mark.parametrize("old", [OLD[0], *(pytest.param(old, marks=pytest.mark.slow) for old in OLD[1:])])
def test_an_older_schema_is_refused_and_its_upgrade_keeps_every_row(
    old: Path, empty_server_url: str, tmp_path: Path
) -> None:
    """The oracle is the same upgrade of the same rows in a file."""
    revision = old.stem.removeprefix("schema-")
    engine = create_engine(empty_server_url)
    with engine.begin() as connection:
        command.upgrade(migrations.configuration(connection), revision)
        fill_with(connection, old)
    engine.dispose()
    for opening in (Store.read, Store.write):
        with pytest.raises(StoreError, match=f"has the older schema {revision}"):
            opening(empty_server_url)
    with pytest.raises(StoreError, match="is not a file that can be copied: back it up, then --no-backup"):
        upgrade_database(empty_server_url)
    assert upgrade_database(empty_server_url, backup=False) == (revision, None)
    assert upgrade_database(empty_server_url, backup=False) == (database.REVISION, None)
    file = tmp_path / "board.db"
    file.write_bytes(old.read_bytes())
    upgrade_database(str(file), backup=False)
    contents = []
    for place in (empty_server_url, str(file)):
        reading = database.open_for_reading(database.locate(place))
        with reading.connect() as connection:
            contents.append(content_of(connection))
        reading.dispose()
    assert contents[0] == contents[1]
    assert contents[0]["blocks"][0] > 0
    assert check_database(empty_server_url).problems == check_database(str(file)).problems


def plain(value: Any) -> Any:
    """A value as both databases give it: SQLite has JSON and dates as texts, PostgreSQL sums as decimals."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return value if value is None or isinstance(value, (str, dict, list)) else float(value)


def test_the_views_say_what_they_say_of_a_file(empty_server_url: str, tmp_path: Path) -> None:
    file = tmp_path / "board.db"
    varied_store(file).close()
    copy_database(str(file), empty_server_url)
    engine = create_engine(empty_server_url)
    with engine.connect() as connection, contextlib.closing(sqlite3.connect(file)) as source:
        views = [str(name) for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'view'")]
        assert len(views) == 6
        for view in views:
            columns = [name for (_, name, *_) in source.execute(f"PRAGMA table_info({view})") if "_utc" not in name]
            query = f"SELECT {', '.join(columns)} FROM {view}"
            wanted = [tuple(map(plain, row)) for row in source.execute(query)]
            found = [tuple(map(plain, row)) for row in connection.execute(text(query))]
            assert sorted(found, key=repr) == sorted(wanted, key=repr), view
            assert wanted or view in ("curves_overview", "states_overview", "findings_overview")
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("DROP TABLE curve_points CASCADE", "table curve_points"),
        ("ALTER TABLE blocks DROP CONSTRAINT ck_blocks_correct_in_range", "table blocks"),
        ("ALTER TABLE runs ALTER COLUMN note SET NOT NULL", "table runs"),
        ("ALTER TABLE evaluations DROP CONSTRAINT uq_evaluations_checkpoint_id", "table evaluations"),
        ("DROP INDEX ix_run_states_run_id", "table run_states"),
        ("DROP VIEW states_overview", "view states_overview"),
        ("CREATE RULE quiet AS ON DELETE TO leases DO INSTEAD NOTHING", "rule quiet"),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            " CREATE TRIGGER quiet BEFORE INSERT ON blocks FOR EACH ROW EXECUTE FUNCTION f()",
            "trigger quiet",
        ),
        (
            "ALTER TABLE leases ADD CONSTRAINT later CHECK (id > 0) NOT VALID",
            "table leases",
        ),
    ],
)
def test_another_schema_is_found(statement: str, where: str, postgres: Server, server_template: str) -> None:
    name = postgres.create(server_template)
    postgres.execute(name, statement)
    problem = check_database(postgres.url(name)).problems[0]
    postgres.drop(name)
    assert problem.where == where


def test_a_reference_to_nothing_is_found(postgres: Server, server_template: str) -> None:
    name = postgres.create(server_template)
    postgres.execute(
        name, "SET session_replication_role = replica; INSERT INTO epochs VALUES (7, 1, 1.0, 0.1, 5, 1.0, '{}')"
    )
    (problem,) = check_database(postgres.url(name)).problems
    postgres.drop(name)
    assert problem.what == "1 rows refer to rows of runs that are not there"
