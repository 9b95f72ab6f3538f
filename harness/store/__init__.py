"""The store: SQLAlchemy schema, sessions, queries, migrations. Sessions never leave it; callers get dataclasses."""
