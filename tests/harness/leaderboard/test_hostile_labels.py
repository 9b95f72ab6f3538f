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
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_none_acts_in_any_format(label: str) -> None:
    given, plain = made(label), made("plain")
    for text in (table_text(given), render_markdown(given), render_html(given), render_latex(given), render_csv(given)):
        assert unseen(text) == set()
    page, usual = Page(), Page()
    page.feed(render_html(given))
    usual.feed(render_html(plain))
    assert page.tags == usual.tags
    cells = [cell for line in csv.reader(io.StringIO(render_csv(given))) for cell in line]
    assert len(cells) == len([cell for line in csv.reader(io.StringIO(render_csv(plain))) for cell in line])
    assert [
        cell for cell in cells if re.match(r"\s*[=@+\uff1d-]", cell) and not re.fullmatch(r"-?[\d.e-]+", cell)
    ] == []
    assert json.loads(render_json(given))["rows"][0]["method"] == label
    assert render_json(given).isascii()
    markdown = render_markdown(given)
    assert not re.search(r"(?<!\\)[<`]|(?<!\\)\]\(", markdown)
    assert markdown.count("\n") == render_markdown(plain).count("\n")
    commands, usual_commands = (set(re.findall(r"\\[a-z]+", render_latex(each))) for each in (given, plain))
    assert commands - usual_commands <= LETTERS | {"\\resizebox"}  # the last: a table with a long name is made narrower


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
