"""The grid of an experiment's file: settings with several values each, as ``--grid`` takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import SettingError
from harness.planning.experiment_protocol import value_text

TITLE = "grid"


def grid_texts(file: Path, table: Any) -> tuple[str, ...]:
    """``key=value;value`` for each setting of the table, which may have tables inside: ``lrat.alpha_pgd = [1, 2]``.

    Raises:
        SettingError: a setting has no list of values, or a value is none that a setting has.
    """
    if not isinstance(table, Mapping):
        raise SettingError(f"{file}: {TITLE} = {table!r} is refused: it must be a table of settings")
    return tuple(_texts(file, table))


def _texts(file: Path, table: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, values in table.items():
        name = f"{before}{key}"
        if isinstance(values, Mapping):
            yield from _texts(file, values, f"{name}.")
            continue
        if not isinstance(values, list) or not values:
            raise SettingError(f"{file}, table {TITLE}: {name} = {values!r} is refused: give a list of its values")
        texts = [value_text(file, TITLE, name, value) for value in values]
        if any(";" in text for text in texts):
            raise SettingError(f"{file}, table {TITLE}: {name} = {values!r} is refused: a value has a semicolon")
        yield f"{name}={';'.join(texts)}" + (";" if len(texts) == 1 else "")
