"""Names that look alike, and attacks that are called like another column: no figure stands under another's name."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest

from harness.leaderboard.board import Board, Selection
from harness.leaderboard.cells import cells, header
from harness.leaderboard.columns import title_of
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_html import render_html
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import render_markdown
from harness.site.boards import board_tabs
from harness.site.seeds import attempts
from harness.store.store import Store
from tests import stores
from tests.harness.leaderboard.rendered import table_text
from tests.hostile_labels import TWINS

TITLES = ("rank", "method", "network", "checkpoint", "n", "networks", "source", "flags", "seed", "date", "worst case")


def stored(*methods: str, attacks: tuple[str, ...]) -> Store:
    """A run of each method; of 40 images the first attack leaves 40 right, the next 30, and so on."""
    store = Store.in_memory()
    stores.see_protocol(store, {name: {"epsilon": 0.1, "of": name} for name in attacks}, {})
    for method in methods:
        run = stores.start(store, stores.make_spec(method=method))
        checkpoint = stores.add_checkpoint(store, run)
        for place, name in enumerate(attacks):
            settings = {"epsilon": 0.1, "of": name}
            stores.add_evaluation(store, checkpoint, name, settings, stores.right(40 - 10 * place, 40))
        store.end_run(run.id)
    return store


def board_of(store: Store) -> Board:
    (board,) = boards(store, Selection(source="measured"))
    return board


@pytest.mark.parametrize(("one", "other"), TWINS, ids=ascii)
def test_twins_have_rows_and_columns_of_their_own(one: str, other: str) -> None:
    store = stored(one, other, attacks=("natural", one, other))
    board = board_of(store)
    names = [cells(board, row)[1] for row in board.rows]
    assert len({unicodedata.normalize("NFC", name) for name in names}) == 2
    for row in board.rows:
        shown = dict(zip(header(board), cells(board, row), strict=True))
        figures = [shown["natural"], shown[title_of(one)], shown[title_of(other)]]
        assert figures == ["100.00", "75.00", "50.00"]
    (tab,) = board_tabs(store, [board], attempts(store.runs(), store.states(store.runs())))
    for drawn in tab["boards"][0]["rows"]:
        assert [figure["value"] for figure in drawn["figures"][:3]] == [100.0, 75.0, 50.0]
        assert [figure["text"] for figure in drawn["figures"][:3]] == figures
    assert len({row["link"] for row in tab["boards"][0]["rows"]}) == 2


@pytest.mark.parametrize(("one", "other"), TWINS, ids=ascii)
def test_twins_look_different_in_every_format(one: str, other: str) -> None:
    """Of a board with one of them, each format is another text than of a board with the other, in any form."""
    made = [board_of(stored(name, attacks=("natural",))) for name in (one, other)]
    for render in (table_text, render_markdown, render_html, render_latex, render_csv):
        texts = {unicodedata.normalize("NFC", render([board])) for board in made}
        assert len(texts) == 2, render.__name__


@pytest.mark.parametrize("name", TITLES)
def test_an_attack_that_is_called_like_a_column_has_its_own(name: str) -> None:
    board = board_of(stored("sat", attacks=("natural", name)))
    (row,) = board.rows
    titles = header(board)
    assert len(set(titles)) == len(titles)
    shown = dict(zip(titles, cells(board, row), strict=True))
    assert shown[f"attack {name}"] == "75.00"
    assert (shown["method"], shown["network"], shown["n"]) == ("sat", "smallcnn", "1")
    assert "75.00" in table_text([board])
    (line,) = [line for line in csv.DictReader(io.StringIO(render_csv([board]))) if line["attack"] == name]
    assert line["median_percent"] == "75.0"


def test_titles_are_as_different_as_the_attacks() -> None:
    names = [
        *TITLES,
        *(f"attack {name}" for name in TITLES),
        "attack attack n",
        "attack",
        "attack pgd",
        "pgd",
        "worst_case",
    ]
    assert len({title_of(name) for name in names}) == len(names)
    assert [title_of(name) for name in ("pgd", "autoattack", "worst_case")] == ["pgd", "autoattack", "worst case"]
