"""Migrations give exactly the schema of the models."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import URL

from harness.store import database, migrations
from harness.store.schema import METADATA
from harness.store.schema_base import VERSION_TABLE
from harness.store.store import Store
from tests.harness.store.entries import CARRIED

pytestmark = pytest.mark.usefixtures("every_step_is_taken")


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
            assert compare_metadata(context, METADATA) == []

    def test_constraints_are_those_of_the_models_too(self, migrated: Engine) -> None:  # Alembic compares no CHECK
        engine = create_engine("sqlite://")
        METADATA.create_all(engine)
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
