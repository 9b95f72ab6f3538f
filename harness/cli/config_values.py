"""One value of a configuration, as its option takes it: of the option's type, and paths beside the file."""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from harness.errors import SettingError, UnknownName
from harness.planning.configuration import Configuration, class_order_beside, dataset_beside

RULES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a text, a path",
    list: "a list of texts",
}


def read_value(key: str, value: Any, parameter: Any, hint: Any, configuration: Configuration, title: str) -> Any:
    """A value of a table as its option takes it.

    An option that takes a text may have a number, and one that takes several texts separated by commas a list.

    Args:
        title: the file and the table, for a message.
    Raises:
        SettingError: the value has the wrong type, or is none of the words that the option takes.
    """
    kind = _bare(hint)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise SettingError(f"{title}: {UnknownName(key, str(value), map(str, get_args(kind)))}")
        return value
    if get_origin(kind) is list:
        inner = get_args(kind)[0]
        if isinstance(value, list) and all(_fits(part, inner) for part in value):
            return [_located(key, part, inner, configuration) for part in value]
        raise _refusal(title, key, value, RULES[list])
    separated = "," in (parameter.metavar or "")
    if kind is str and separated and isinstance(value, list) and all(_fits(part, str) for part in value):
        return ",".join(map(_text, value))
    if not _fits(value, kind):
        rule = RULES[kind] + (", or a list of texts" if separated else "")
        raise _refusal(title, key, value, rule)
    return _located(key, value, kind, configuration)


def _refusal(title: str, key: str, value: Any, rule: str) -> SettingError:
    return SettingError(f"{title}: {key} = {value!r} is refused: it must be {rule}")


def _bare(hint: Any) -> Any:
    """The type inside ``Annotated[...]`` and ``... | None``."""
    while get_origin(hint) in (Annotated, Union, UnionType):
        parts = get_args(hint)
        hint = parts[0] if get_origin(hint) is Annotated else next(part for part in parts if part is not NoneType)
    return hint


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of TOML has the type; a truth value is no number."""
    taken = {bool: (bool,), int: (int,), float: (int, float), str: (str, int, float), Path: (str,)}[kind]
    return isinstance(value, taken) and (kind is bool or not isinstance(value, bool))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _located(key: str, value: Any, kind: Any, configuration: Configuration) -> Any:
    """The value, its path made absolute if it is one: and so is a protocol's file, a folder of images, a tracker's."""
    if kind is Path:
        return configuration.beside(value)
    if kind is not str:
        return value
    text = _text(value)
    if key == "protocol" and text.endswith(".toml"):
        return configuration.beside(text)
    if key == "track":
        from harness.trackers.named import located

        return located(text, configuration.beside)
    beside = {"dataset": dataset_beside, "class-order": class_order_beside}.get(key)
    return text if beside is None or configuration.file is None else beside(text, configuration.file.parent)
