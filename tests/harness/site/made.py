"""Sites made for tests, and what a page says when it is parsed."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from harness.site.pages import Files, make_site
from harness.site.snapshot import Snapshot
from harness.site.writing import write_site

ROOT = Path(__file__).parents[3]
MADE = "2026-01-02 03:04 UTC"


def site_of(database: Path, *, live: bool = False) -> Files:
    """The files of a database's site."""
    store = Snapshot.of(str(database))
    files = make_site(store, database=database.name, made=MADE, live=live)
    store.close()
    return files


def written(database: Path, folder: Path) -> Path:
    """A folder with a database's site."""
    write_site(folder, site_of(database))
    return folder


@dataclass
class Element:
    """An element of a page: its name, attributes, and the text in it."""

    name: str
    attributes: dict[str, str]
    parents: tuple[Element, ...]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def has(self, word: str) -> bool:
        """Whether the element is of a class."""
        return word in self.attributes.get("class", "").split()


class Parsed(HTMLParser):
    """A page as the standard library's parser reads it."""

    VOID = ("meta", "link", "br", "input", "hr", "img")

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(page.decode())
        self.close()
        assert self._open == [], [element.name for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs}, tuple(self._open))
        if self._open:
            self._open[-1].children.append(element)
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def named(self, name: str) -> list[Element]:
        """Every element of a name, in order."""
        return [element for element in self.elements if element.name == name]


def unpacked(script: bytes) -> Any:
    """The document that a script of ``data/`` hands to the page."""
    text = script.decode().split('"]="')[1].removesuffix('";\n')
    return json.loads(gzip.decompress(base64.b85decode(text)))
