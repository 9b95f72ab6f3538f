"""The leaderboard as one HTML page that needs nothing else: no script, no request; every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from harness.errors import visible, visible_lines
from harness.leaderboard.board import REPORTED, Board
from harness.leaderboard.cells import cells, failed_lines, flag_lines, header, heading, spread_lines, wilson_lines
from harness.leaderboard.legend import answer, legend, notes, unchecked

STYLE = """
body { font: 1rem/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 2rem 0 .5rem }
caption { font-weight: bold; text-align: left }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap }
thead th { border-bottom: 2px solid }
tbody tr + tr > * { border-top: 1px solid #8886 }
.word { text-align: left }
.reported { font-style: italic }
ul { font-size: .875rem; margin: .5rem 0; padding-left: 1.2rem }
.scroll { overflow-x: auto }
"""
_WORDS = ("method", "network", "checkpoint", "source")


def render_html(boards: Sequence[Board], *, bibtex: str = "") -> str:
    """One page: a table for each board, with a caption, and what each figure and mark is; then BibTeX, if any."""
    page = ET.Element("html", lang="en")
    head = ET.SubElement(page, "head")
    ET.SubElement(head, "meta", charset="utf-8")
    ET.SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    ET.SubElement(head, "title").text = "Leaderboard"
    ET.SubElement(head, "style").text = STYLE
    body = ET.SubElement(ET.SubElement(page, "body"), "main")
    ET.SubElement(body, "h1").text = "Leaderboard"
    for board in boards:
        _board(body, board)
    _list(body, [*legend(boards), *notes(boards)])
    if bibtex:
        ET.SubElement(body, "h2").text = "BibTeX"
        ET.SubElement(body, "pre").text = bibtex
    for element in page.iter():
        element.text = (
            visible_lines(element.text or "") if element.tag in ("pre", "style") else visible(element.text or "")
        )
    # the parts are made as elements, so that texts are escaped; an empty td must not be written as <td />
    return "<!doctype html>\n" + ET.tostring(page, encoding="unicode", method="html")


def _board(body: ET.Element, board: Board) -> None:
    scroll = ET.SubElement(body, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "table"})
    table = ET.SubElement(scroll, "table", {"class": "reported"} if board.source == REPORTED else {})
    ET.SubElement(table, "caption").text = heading(board)
    names = header(board)
    line = ET.SubElement(ET.SubElement(table, "thead"), "tr")
    for name in names:
        ET.SubElement(line, "th", _class(name) | {"scope": "col"}).text = name
    rows = ET.SubElement(table, "tbody")
    for row in board.rows:
        line = ET.SubElement(rows, "tr")
        for name, text in zip(names, cells(board, row), strict=True):
            place = ("th", {"scope": "row"}) if name == "method" else ("td", {})
            ET.SubElement(line, place[0], _class(name) | place[1]).text = text
    ET.SubElement(body, "p").text = answer(board)
    flagged = [*flag_lines(board), *unchecked(board)]
    _list(body, [*wilson_lines(board), *spread_lines(board), *failed_lines(board), *flagged])


def _class(name: str) -> dict[str, str]:
    return {"class": "word"} if name in _WORDS else {}


def _list(parent: ET.Element, texts: Sequence[str]) -> None:
    if texts:
        items = ET.SubElement(parent, "ul")
        for text in texts:
            ET.SubElement(items, "li").text = text
