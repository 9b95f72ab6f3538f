"""A record whose every text is of one line: so no label of a store can look like a line of the command's own."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from harness.errors import visible

Record = TypeVar("Record")


def visible_in(record: Record) -> Record:
    """The record, list, or mapping with escapes in place of control and invisible characters, newlines among them."""
    shown: Any = record
    if isinstance(record, str):
        shown = visible(record)
    elif isinstance(record, dict):
        shown = {visible_in(key): visible_in(value) for key, value in record.items()}
    elif isinstance(record, (list, tuple)):
        shown = type(record)(map(visible_in, record))
    elif dataclasses.is_dataclass(record) and not isinstance(record, type):
        own = [field.name for field in dataclasses.fields(record) if field.init]
        shown = dataclasses.replace(record, **{name: visible_in(getattr(record, name)) for name in own})
    return shown  # type: ignore[no-any-return]
