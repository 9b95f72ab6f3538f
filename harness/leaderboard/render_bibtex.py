"""The BibTeX of what a board shows: its methods, their wrappers, and the publications that report figures."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from harness.errors import HarnessError, visible, visible_lines
from harness.leaderboard.board import REPORTED, Board
from harness.plugin.publication import Publication, parse_bibtex, publications_of, unique
from harness.reference import BIBTEX

_PLUGIN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")  # before a code, a setting, or the part of a table: lrat[P+C]


def render_bibtex(boards: Sequence[Board], files: Sequence[Path] = ()) -> str:
    """Every entry once; then, as comments, what has no entry and why.

    Args:
        files: plugin files in which methods may be, besides those that are found anyway.
    """
    return bibtex_text(_cited(boards, files))


def bibtex_text(cited: Iterable[tuple[str, Sequence[Publication] | str]]) -> str:
    """Every entry once; then, as comments, what has no entry and why.

    Args:
        cited: name -> publications, or the reason why there are none, in words.
    """
    found: list[Publication] = []
    remarks = []
    for name, entries in cited:
        if isinstance(entries, str):
            remarks.append(
                f"{visible(name)}: {entries}".replace("@", "(at)")
            )  # BibTeX knows no comments: @ is an entry
        else:
            found += entries
    entries, contested = unique(iter(found))
    remarks += [f"{key}: several entries have this key, and only the first is here" for key in contested]
    comments = (
        f"% {text}".replace("@", "(at)") for text in dict.fromkeys(remarks)
    )  # for BibTeX, @ begins an entry here
    return "\n\n".join([*(visible_lines(entry.bibtex) for entry in entries), *comments])


def _cited(boards: Sequence[Board], files: Sequence[Path]) -> Iterator[tuple[str, Sequence[Publication] | str]]:
    """Name -> publications, or the reason why there are none, in words."""
    for board in boards:
        if board.source == REPORTED and board.protocol in BIBTEX:
            yield board.protocol, parse_bibtex(BIBTEX[board.protocol])
    methods = [row.method for board in boards for row in board.rows if row.trained_here]
    wrappers = [wrapper for board in boards for row in board.rows for wrapper in row.wrappers]
    reported = {row.method for board in boards if board.source == REPORTED for row in board.rows}
    for kind, names in (("methods", methods), ("wrappers", wrappers)):
        yield from publications_by_name(kind, dict.fromkeys(names), files, reported if kind == "methods" else set())
    for name in dict.fromkeys(row.method for board in boards for row in board.rows if not row.trained_here):
        yield name, "a model from elsewhere, whose publication is not known here"


def publications_by_name(
    kind: str, names: Iterable[str], files: Sequence[Path], reported: Collection[str] = ()
) -> Iterator[tuple[str, Sequence[Publication] | str]]:
    """The publications of plugins, by the labels of their rows; the reason in words where there are none.

    Args:
        reported: names that a publication uses, which need not be here.
    """
    from harness.registry.catalogue import discover  # imported late: it imports torch

    names = list(names)
    found = discover(kind, files).found if names else {}
    for name in names:
        bare = _PLUGIN.match(name)
        plugin = found.get(bare[0]) if bare is not None else None
        if plugin is None:
            if name not in reported:  # what a publication calls its methods need not be here
                yield name, "its file is not here; give it with --plugin"
            continue
        try:
            entries = publications_of(plugin.cls)
        except HarnessError as error:
            yield name, f"{error}; see harness check"
        else:
            yield name, entries or "it names no publication"
