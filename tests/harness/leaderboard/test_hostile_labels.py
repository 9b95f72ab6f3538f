"""Hostile labels on a board, in every format: none acts on a terminal, a browser, a spreadsheet, or a compiler."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.table import Table
from rich.text import Text

from harness.api.terminal import Terminal
from harness.errors import visible
from harness.leaderboard.board import Board, Selection
from harness.leaderboard.csv_cells import csv_cell
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_html import render_html
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import render_markdown
from harness.store.store import Store
from tests import stores
from tests.harness.leaderboard.rendered import table_text
from tests.hostile_labels import LABELS, PLAIN, unseen

LETTERS = {f"\\{name}" for name in ("textbackslash", "textless", "textgreater", "textbar", "textquoteleft")}
LETTERS |= {"\\textasciicircum", "\\textquotedblright"}


def made(label: str) -> list[Board]:
    """A board of a run and of a model, with a label as every name that a store has."""
    store = Store.in_memory()
    dataset = replace(stores.DIGITS, name=label, class_names=(label,) * 10)
    stores.see_protocol(store, {"natural": {}, "pgd": {"epsilon": 0.1}}, {}, name=label)
    spec = stores.make_spec(
        dataset, method=label, network=label, wrappers=({"name": label, "settings": {}, "departures": {label: label}},)
    )
    run = stores.start(store, spec, dataset, method_departures={label: label}, network_departures={label: label})
    for owner in (stores.add_checkpoint(store, run, name=label),):
        stores.add_evaluation(store, owner, "natural", {}, [1, 1, 0, 1], warnings=(label,))
        stores.add_evaluation(store, owner, "pgd", {"epsilon": 0.1}, [1, 0, 0, 1])
    store.end_run(run.id)
    store.annotate(store.run(run.id), label)
    made_boards = boards(store, Selection(source="measured"))
    assert made_boards
    store.close()
    return made_boards


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))


class Rendered:
    """The texts of a board, in every format."""

    def __init__(self, label: str) -> None:
        board = made(label)
        self.table, self.markdown, self.html = table_text(board), render_markdown(board), render_html(board)
        self.latex, self.csv, self.json = render_latex(board), render_csv(board), render_json(board)

    def cells(self) -> list[str]:
        return [cell for line in csv.reader(io.StringIO(self.csv)) for cell in line]

    def commands(self) -> set[str]:
        return set(re.findall(r"\\[a-z]+", self.latex))


@pytest.fixture(scope="module")
def plain() -> Rendered:
    return Rendered("plain")


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_none_acts_in_any_format(label: str, plain: Rendered) -> None:
    given = Rendered(label)
    for text in (given.table, given.markdown, given.html, given.latex, given.csv):
        assert unseen(text) == set()
    assert Page(given.html).tags == Page(plain.html).tags
    cells = given.cells()
    assert len(cells) == len(plain.cells())
    assert [
        cell for cell in cells if re.match(r"\s*[=@+\uff1d-]", cell) and not re.fullmatch(r"-?[\d.e-]+", cell)
    ] == []
    assert json.loads(given.json)["rows"][0]["method"] == label
    assert given.json.isascii()
    assert not re.search(r"(?<!\\)[<`]|(?<!\\)\]\(", given.markdown)
    assert given.markdown.count("\n") == plain.markdown.count("\n")
    assert given.commands() - plain.commands() <= LETTERS | {"\\resizebox"}  # which makes a table narrower


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_none_acts_on_a_terminal_as_rich_prints_it(label: str) -> None:
    text = io.StringIO()
    console = Terminal(file=text, width=400, color_system="truecolor", force_terminal=True)
    table = Table(label)
    table.add_row(label)
    console.print(Text(label, style="bold"), label, table, soft_wrap=True)
    assert unseen(re.sub(r"\x1b\[[0-9;]*m", "", text.getvalue())) == set()
    assert "\x1b[31" not in text.getvalue()  # of the label's own colours


@pytest.mark.parametrize("label", PLAIN)
def test_ordinary_names_stay(label: str) -> None:
    given = made(label)
    assert label in table_text(given)
    assert label in render_html(given)
    assert label in render_csv(given)
    assert visible(label) == label


@pytest.mark.parametrize("value", [-0.5, -3, 1e-300, "-0.5", "+3", "-1e-3", ".5", None, True, "sat", "a=b"])
def test_numbers_and_plain_texts_are_cells_as_they_are(value: object) -> None:
    assert csv_cell(value) is value or csv_cell(value) == value


def test_a_cell_of_a_million_digits_takes_no_hour() -> None:
    text = f"-{'1' * 1_000_000}x"
    assert csv_cell(text) == f"'{text}"
