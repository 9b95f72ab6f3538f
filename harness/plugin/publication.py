"""What a plugin says of its source: the BibTeX of its publications, and a method's formula.

The author pastes BibTeX into the plugin's file. It is parsed strictly, so that whatever harness prints also loads in
BibTeX.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from harness.errors import SettingError, quoted
from harness.plugin.settings import Plugin

_HEAD = re.compile(r"@\s*([A-Za-z]+)\s*\{\s*([A-Za-z0-9:_./+-]+)\s*,")
_FIELD = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*")
_BARE = re.compile(r"[A-Za-z0-9]+")
_REQUIRED = {
    "article": ("author", "title", "journal", "year"),
    "inproceedings": ("author", "title", "booktitle", "year"),
}
_ALWAYS = ("author", "title", "year")  # for an entry of another type


@dataclass(frozen=True)
class Publication:
    """One entry of BibTeX.

    Attributes:
        fields: in lower case -> the value without its outer braces or quotes; braces inside are kept.
        bibtex: the entry as its author wrote it.
    """

    kind: str  # in lower case: inproceedings, article, misc
    key: str
    fields: dict[str, str]
    bibtex: str

    @property
    def title(self) -> str:
        """The title in one line, without braces."""
        return " ".join(self.fields["title"].replace("{", "").replace("}", "").split())


def parse_bibtex(text: str) -> tuple[Publication, ...]:
    """The entries of a text; between entries there may be white space alone.

    Raises:
        SettingError: the text is no BibTeX, a brace is not closed, a field that the type requires is missing, or two
            entries have one key.
    """
    found: dict[str, Publication] = {}
    place = 0
    while rest := text[place:].lstrip():
        place = len(text) - len(rest)
        publication, place = _entry(text, place)
        if publication.key in found:
            raise SettingError(f"bibtex is refused: two entries have the key {publication.key!r}; rename one")
        found[publication.key] = publication
    return tuple(found.values())


def _entry(text: str, start: int) -> tuple[Publication, int]:
    """The entry that begins here, and where it ends."""
    head = _HEAD.match(text, start)
    if head is None:
        near = quoted(text[start : start + 40])
        raise SettingError(f"bibtex is refused: an entry begins with @type{{key, and not with {near}")
    kind, key = head[1].lower(), head[2]
    values: dict[str, str] = {}
    place = head.end()
    while (field := _FIELD.match(text, place)) is not None:
        name = field[1].lower()
        if name in values:
            raise SettingError(f"bibtex is refused: entry {key!r} has two fields {name!r}")
        values[name], place = _value(text, field.end(), key)
        comma = re.compile(r"\s*,").match(text, place)
        if comma is None:
            break
        place = comma.end()
    end = re.compile(r"\s*\}").match(text, place)
    if end is None:
        raise SettingError(f"bibtex is refused: entry {key!r} is not closed after {len(values)} fields")
    missing = [name for name in _REQUIRED.get(kind, _ALWAYS) if not values.get(name, "").strip()]
    if missing:
        raise SettingError(f"bibtex is refused: entry {key!r} of type {kind} needs {', '.join(missing)}")
    return Publication(kind, key, values, text[start : end.end()]), end.end()


def _value(text: str, start: int, key: str) -> tuple[str, int]:
    """A field's value, and where it ends: in braces, in quotes, or one bare word or number."""
    opening = text[start : start + 1]
    if opening not in ("{", '"'):
        bare = _BARE.match(text, start)
        if bare is None:
            raise SettingError(f"bibtex is refused: entry {key!r} has a field without a value")
        return bare[0], bare.end()
    depth = 0
    for place in range(start + 1, len(text)):
        letter, escaped = text[place], text[place - 1] == "\\"
        if depth == 0 and letter == ("}" if opening == "{" else '"') and not escaped:
            return text[start + 1 : place], place + 1
        if letter in "{}" and not escaped:
            depth += 1 if letter == "{" else -1
        if depth < 0:
            break
    raise SettingError(f"bibtex is refused: entry {key!r} has a value that is not closed")


def publications_of(cls: type[Plugin]) -> tuple[Publication, ...]:
    """The publications that a plugin names in ``bibtex``; none where it names none.

    Raises:
        SettingError: its ``bibtex`` is no text, or no BibTeX.
    """
    text = _told(cls, "bibtex")
    return parse_bibtex(text) if text is not None else ()


def formula_of(cls: type[Plugin]) -> str:
    """A method's formula in one line of plain text; empty where the class itself gives none.

    A formula is not inherited: the loss of a subclass is another one. Publications are: they are what it builds on.

    Raises:
        SettingError: its ``formula`` is no text, or has several lines.
    """
    text = (_told(cls, "formula") or "").strip() if "formula" in vars(cls) else ""
    if not text.isprintable():
        raise SettingError("formula is refused: write one line of plain text")
    return text


def _told(cls: type[Plugin], name: str) -> str | None:
    """A class attribute; None if it is a hyper-parameter of that name."""
    if name in {field.name for field in fields(cls)}:
        return None
    value = getattr(cls, name, "")
    if not isinstance(value, str):
        raise SettingError(f"{name} is refused: it must be a text, not {type(value).__name__}")
    return value


def unique(publications: Iterator[Publication]) -> tuple[list[Publication], list[str]]:
    """Each publication once, in the order of their keys.

    Returns:
        The publications, and the keys that stand for two different publications, of which the first is returned.
    """
    found: dict[str, Publication] = {}
    contested = []
    for publication in publications:
        first = found.setdefault(publication.key, publication)
        if first.fields != publication.fields and publication.key not in contested:
            contested.append(publication.key)
    return [found[key] for key in sorted(found, key=str.lower)], contested
