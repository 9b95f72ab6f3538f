"""Settings: frozen dataclasses whose fields are typed, checked, and explained in one place.

A field is declared once: ``alpha: Annotated[float, Gt(0), Doc("scale of g")] = 2.0``. From this come its check on
construction, its parsing from text (``--set alpha=1/2``), and its line in ``harness list``.

Resolved settings are hashed into identities and fingerprints. A field that is added to a released class must therefore
be marked ``LATER``, and its default must mean what the class did before: at its default it enters no hash.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin

from typing_extensions import Doc

from harness.errors import SettingError, UnknownName

_FRACTION = re.compile(r"\s*([-+]?[\d.]+)\s*/\s*([\d.]+)\s*")


@dataclass(frozen=True)
class SettingInfo:
    """One field as ``harness list`` shows it."""

    name: str
    type: str
    default: Any  # dataclasses.MISSING where the caller must choose
    meaning: str

    @property
    def required(self) -> bool:
        """Whether the caller must choose a value."""
        return self.default is MISSING


@dataclass(frozen=True)
class Role:
    """An annotation of a text that names something: what a user names, for listings.

    Attributes:
        digits: how many of the value's first characters a label shows; None: all.
    """

    names: str
    digits: int | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of all settings: a frozen, keyword-only dataclass, validated when it is made.

    Raises:
        SettingError: a value has the wrong type or is outside its declared range; names the field.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _checked(type(self), field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)  # the coerced value: "8/255" became a float
        self.check()

    def check(self) -> None:
        """Override to check rules between fields; raise SettingError. Does nothing by default."""

    def resolved(self) -> dict[str, Any]:
        """Every field's value in JSON types, defaults included; but a ``LATER`` field only if it is not its default."""
        hints = _hints(type(self))  # type: ignore[arg-type]  # as below
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if LATER not in _opened(hints[field.name])[2] or getattr(self, field.name) != _default(field)
        }

    def departures(self) -> dict[str, Any]:
        """The fields whose values differ from their defaults; results are labelled with these."""
        short = {name: role.digits for name, role in roles(type(self)).items()}
        changed = {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if not _required(field) and getattr(self, field.name) != _default(field)
        }
        return {name: value[: short[name]] if short.get(name) else value for name, value in changed.items()}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Make settings from texts or plain values; an unknown key is refused, with similar names suggested."""
        known = {field.name for field in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                raise UnknownName("setting", key, known)
        missing = [f.name for f in dataclasses.fields(cls) if _required(f) and f.name not in values]
        if missing:
            raise SettingError(f"{', '.join(missing)} must be given: {cls.__name__} has no default for it")
        return cls(**values)

    @classmethod
    def describe(cls) -> tuple[SettingInfo, ...]:
        """Name, type, default, and meaning of each field, as ``harness list`` prints them."""
        hints = _hints(cls)  # type: ignore[arg-type]  # mypy takes a dataclass's __hash__ for its class's
        return tuple(
            SettingInfo(f.name, _type_name(hints[f.name]), _default(f), _meaning(hints[f.name]))
            for f in dataclasses.fields(cls)
        )


def annotations_of(cls: type[Settings]) -> dict[str, tuple[Any, bool, tuple[Any, ...]]]:
    """Each field's type without its annotations, whether it may be none, and the annotations."""
    hints = _hints(cls)  # type: ignore[arg-type]  # as above
    return {field.name: _opened(hints[field.name]) for field in dataclasses.fields(cls)}


class Plugin(Settings):
    """Base of all plugins. Discovery sets ``name``, from the name of the file or of the entry point."""

    name: ClassVar[str] = ""

    bibtex: ClassVar[str] = ""
    """The entries of BibTeX of the plugin's publications, one below the other; may be empty."""

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring, which should say what the plugin is, and its source paper."""
        return (cls.__doc__ or "").strip().split("\n")[0]


def roles(cls: Any) -> dict[str, Role]:
    """The role of each field whose text names something."""
    notes = {field.name: _opened(_hints(cls)[field.name])[2] for field in dataclasses.fields(cls)}
    return {name: note for name, its in notes.items() for note in its if isinstance(note, Role)}


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


@functools.cache
def _validator(hint: Any) -> Any:
    from pydantic import TypeAdapter  # imported late: reading a stored leaderboard needs no pydantic

    return TypeAdapter(hint)


def _checked(cls: type, field: Field[Any], value: Any) -> Any:
    from pydantic import ValidationError

    hint = _hints(cls)[field.name]
    if isinstance(value, bool) and _opened(hint)[0] in (int, float):  # pydantic reads true as 1
        raise SettingError(f"{field.name}={value} is refused: it should be a number, and not true or false")
    try:
        return _validator(hint).validate_python(_from_text(hint, value))
    except ValidationError as error:
        problem = error.errors()[0]
        rule = problem["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
        raise SettingError(f"{field.name}={_plain(value)} is refused: {rule}") from None


def _from_text(hint: Any, value: Any) -> Any:
    """Parse a text for a hint other than ``str``: fractions ("8/255"), tuples with commas, "none" where allowed."""
    bare, optional, _ = _opened(hint)
    if get_origin(bare) is tuple and isinstance(value, (str, list, tuple)):
        parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        return tuple(_from_text(get_args(bare)[0], part) for part in parts)
    if not isinstance(value, str):
        return value
    if optional and value.strip().lower() == "none":
        return None
    if bare is str:
        return value
    fraction = _FRACTION.fullmatch(value)
    if fraction and bare is float:
        with contextlib.suppress(ValueError, ZeroDivisionError):  # "1..2/3", "1/0": refused like any other text
            return float(fraction[1]) / float(fraction[2])
    return value


def _opened(hint: Any) -> tuple[Any, bool, tuple[Any, ...]]:
    """The type inside ``Annotated[...]`` and ``... | None``, whether None is allowed, and the annotations.

    The innermost annotations come first: for ``Annotated[Epsilon | None, LATER]`` those of Epsilon, then LATER.
    """
    if get_origin(hint) is Annotated:
        bare, optional, notes = _opened(get_args(hint)[0])
        return bare, optional, (*notes, *get_args(hint)[1:])
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not types.NoneType]
        if len(members) == 1:
            bare, _, notes = _opened(members[0])
            return bare, True, notes
    return hint, False, ()


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.resolved()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value  # JSON has no infinity


def _type_name(hint: Any) -> str:
    bare, optional, notes = _opened(hint)
    named = [note.names for note in notes if isinstance(note, Role)]
    if named:
        name = named[0]
    elif get_origin(bare) is typing.Literal:
        name = " | ".join(str(option) for option in get_args(bare))
    elif get_origin(bare) is tuple:
        name = f"{_type_name(get_args(bare)[0])}, ..."
    else:
        name = str(getattr(bare, "__name__", bare))
    return f"{name} or none" if optional else name


def _meaning(hint: Any) -> str:
    """The field's explanation: its outermost ``Doc``, since a type such as Epsilon has its own."""
    return next((note.documentation for note in reversed(_opened(hint)[2]) if isinstance(note, Doc)), "")


LATER = "added after results were kept"
