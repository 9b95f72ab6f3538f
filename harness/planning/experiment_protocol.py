"""The protocol of an experiment's file: the base, and what changes it, as ``--protocol`` and ``--set`` take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import SettingError, UnknownName
from harness.plugin.settings import Settings
from harness.protocols.evaluation_protocol import EvaluationProtocol
from harness.protocols.train_protocol import TrainProtocol

BASE = "base"
TABLES: dict[str, type[Settings]] = {"train": TrainProtocol, "evaluation": EvaluationProtocol}
KEYS = (BASE, "epsilon", "attacks", *TABLES)


def protocol_texts(file: Path, table: Any) -> tuple[str | None, tuple[str, ...]]:
    """The base, None for each data set's own; and the changes to it.

    Args:
        file: the experiment's; a path of a base is relative to its folder.
        table: the value of the key ``protocol``: a table, or the name of the base alone.
    Raises:
        SettingError: a key is unknown, or a value is none that a setting has.
    """
    if isinstance(table, str):
        table = {BASE: table}
    if not isinstance(table, Mapping):
        raise SettingError(f"{file}: protocol = {table!r} is refused: it must be a table, or a protocol's name")
    for key in table:
        if key not in KEYS:
            raise SettingError(f"{file}, table protocol: {UnknownName('key', key, KEYS)}")
    base = table.get(BASE)
    if base is not None and not (isinstance(base, str) and base):
        raise SettingError(
            f"{file}, table protocol: {BASE} = {base!r} is refused: write a protocol's name, or a file's"
        )
    if base is not None and base.endswith(".toml"):
        base = str(file.parent / base)
    return base, tuple(_texts(file, table))


def _texts(file: Path, table: Mapping[str, Any]) -> Iterator[str]:
    if "epsilon" in table:
        yield f"epsilon={value_text(file, 'protocol', 'epsilon', table['epsilon'])}"
    for name, cls in TABLES.items():
        known = [info.name for info in cls.describe()]
        title = f"protocol.{name}"
        for key, value in _inner(file, title, table.get(name, {})).items():
            if key not in known:
                raise SettingError(f"{file}, table {title}: {UnknownName('setting', key, known)}")
            yield f"{name}.{key}={value_text(file, title, key, value)}"
    attacks = _inner(file, "protocol.attacks", table.get("attacks", {}))
    for attack, values in attacks.items():
        title = f"protocol.attacks.{attack}"
        for key, value in _inner(file, title, values).items():
            yield f"{attack}.{key}={value_text(file, title, key, value)}"


def _inner(file: Path, title: str, values: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise SettingError(f"{file}: {title} = {values!r} is refused: it must be a table of settings")
    return values


def value_text(file: Path, title: str, key: str, value: Any) -> str:
    """A value as ``--set`` takes it."""
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, (str, int, float)) for part in parts):
        raise SettingError(f"{file}, table {title}: {key} = {value!r} is refused: give a number, a text, or a list")
    return ",".join(str(p).lower() if isinstance(p, bool) else p if isinstance(p, str) else repr(p) for p in parts)
