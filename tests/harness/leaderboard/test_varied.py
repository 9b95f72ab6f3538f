"""Settings in which rows of one method differ are columns, in every format; all others stay in the label."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.api.ranked import board_table, wide_table
from harness.leaderboard.board import Board, Selection
from harness.leaderboard.cells import cells, header
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_markdown import render_markdown
from harness.leaderboard.render_table import render_table
from harness.site.boards import board_tabs
from harness.site.seeds import attempts
from harness.store.store import Store
from tests import stores

AWP = [{"name": "awp", "settings": {"gamma": gamma}, "departures": {"gamma": gamma}} for gamma in (0.005, 0.01)]
ROWS: list[dict[str, Any]] = [
    {"method": "m", "method_settings": {"a": 1.0, "b": 2, "n": [1, 2]}},
    {"method": "m", "method_settings": {"a": 3.0, "b": 2, "n": [1]}},
    {"method": "m", "method_settings": {"a": 3.0, "b": 2, "n": [1], "later": True}},
    {"method": "o", "method_settings": {"b": 7, "c": 1}, "wrappers": (AWP[0],)},
    {"method": "o", "method_settings": {"b": 7, "c": 1}, "wrappers": (AWP[1],)},
    {"method": "o", "method_settings": {"b": 7, "c": 1}},
    {"method": "alone", "method_settings": {"a": 5.0}},
]
TITLES = ["a", "setting n", "later", "awp.gamma"]
EXPECTED = [
    ["m b=2", "1.0", "[1, 2]", "default", "-"],
    ["m b=2", "3.0", "[1]", "default", "-"],
    ["m b=2", "3.0", "[1]", "True", "-"],
    ["o b=7 c=1+awp gamma=0.005", "-", "-", "-", "0.005"],
    ["o b=7 c=1+awp gamma=0.01", "-", "-", "-", "0.01"],
    ["o b=7 c=1", "-", "-", "-", "-"],
    ["alone", "5.0", "-", "-", "-"],
]


def stored() -> tuple[Store, Board]:
    """A row for each entry of ROWS; every setting departs from its default. The first has the best figure."""
    store = Store.in_memory()
    stores.see_protocol(store, {"pgd": {}}, {})
    for place, entry in enumerate(ROWS):
        run = stores.start(store, stores.make_spec(**entry), method_departures=entry["method_settings"])
        stores.add_evaluation(store, stores.add_checkpoint(store, run), "pgd", {}, stores.right(30 - place, 40))
        store.end_run(run.id)
    (board,) = boards(store, Selection(source="measured"))
    return store, board


def test_every_format_has_the_columns_and_each_row_its_values() -> None:
    store, board = stored()
    names = header(board)
    assert names[:6] == ["rank", "method", *TITLES]
    rows = [cells(board, row)[1:6] for row in board.rows]
    assert [row[1:] for row in rows] == [row[1:] for row in EXPECTED]
    assert len(names) == len(set(names))
    markdown = [line.split(" | ") for line in render_markdown([board]).splitlines() if line.startswith("| ")]
    assert [line[2:6] for line in markdown[2:]] == [row[1:] for row in EXPECTED]
    (tab,) = board_tabs(store, [board], attempts(store.runs(), store.states(store.runs())))
    assert [[row["texts"][name] for name in TITLES] for row in tab["boards"][0]["rows"]] == [r[1:] for r in EXPECTED]
    documents = [row["varied"] for row in json.loads(render_json([board]))["rows"]]
    assert documents[0] == {"a": 1.0, "n": [1, 2], "later": "default"}
    assert documents[3:] == [{"awp.gamma": 0.005}, {"awp.gamma": 0.01}, {}, {"a": 5.0}]
    lines = [row for row in csv.DictReader(io.StringIO(render_csv([board]))) if row["attack"] == "pgd"]
    assert [row["setting_a"] for row in lines] == ["1.0", "3.0", "3.0", "", "", "", "5.0"]
    for table in (board_table([board]), wide_table([board])):
        kept = [row for row in table if row.get("attack", "pgd") == "pgd"]
        assert [row["setting_a"] for row in kept] == [1.0, 3.0, 3.0, None, None, None, 5.0]
        assert [row["setting_n"] for row in kept] == ["[1, 2]", "[1]", "[1]", *[None] * 4]
        assert table.columns.index("setting_later") > table.columns.index("setting_a")


def test_what_has_a_column_leaves_the_label_and_a_narrow_table_still_tells_the_rows_apart() -> None:
    _, board = stored()
    assert [cells(board, row)[1] for row in board.rows][:2] == ["m b=2", "m b=2"]
    assert board.rows[0].label == "m a=1.0 b=2 n=[1, 2]"
    for width in (200, 60, 40):
        console = Console(file=io.StringIO(), width=width)
        text = "\n".join(part.plain for part in render_table([board], console) if isinstance(part, Text))
        assert all(value in text for value in ("[1, 2]", "default", "0.005"))


def test_a_setting_in_which_the_rows_of_a_method_agree_has_no_column() -> None:
    _, board = stored()
    assert "b" not in board.varied
    assert "c" not in board.varied
