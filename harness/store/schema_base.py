"""The base of all tables, and what several of them share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, MetaData
from sqlalchemy.orm import DeclarativeBase

VERSION_TABLE = "harness_schema_version"  # not Alembic's default: tools that share the default break each other
OWNS = "all, delete-orphan"  # a row's parts are deleted with it
NUMBERED_ONCE = {"sqlite_autoincrement": True}  # a removed row's number would else become another row's


class Base(DeclarativeBase):
    """Gives every constraint a name, so that migrations can change constraints on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012  # SQLAlchemy's own class-level hook
