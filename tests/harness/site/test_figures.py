"""Every figure on the page is one of the ranking, in the terminal's words, and every one of the ranking is there."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from harness.leaderboard.ranking import boards
from harness.leaderboard.render_markdown import render_markdown
from harness.statistics.figures import plus_minus
from harness.store.store import Store
from tests.first_board import FIRST_BOARD
from tests.harness.site.made import Element, Parsed, site_of


@cache
def page() -> Parsed:
    return Parsed(site_of(FIRST_BOARD)["index.html"])


def shown(figure: dict[str, Any] | None) -> str:
    """How a figure of the JSON must read."""
    if figure is None:
        return "-"
    if figure["median"] is None:
        return plus_minus(figure["train"]["mean"], figure["train"]["std"])
    return plus_minus(figure["median"], figure["std"])


def ranking() -> list[dict[str, Any]]:
    """The rows of the JSON, one data set after the other, which are the tabs of the page."""
    ranked = json.loads(site_of(FIRST_BOARD)["leaderboard.json"])["rows"]
    order = list(dict.fromkeys(row["dataset"] for row in ranked))
    return sorted(ranked, key=lambda row: order.index(row["dataset"]))


def rows() -> list[Element]:
    return [e for e in page().named("tr") if any(parent.name == "tbody" for parent in e.parents)]


def test_every_figure_of_the_json_is_on_the_page_and_no_other() -> None:
    ranked = ranking()
    there = [[cell.text for cell in row.children if cell.name == "td" and cell.has("figure")] for row in rows()]
    assert there == [[shown(figure) for figure in row["metrics"].values()] for row in ranked]
    assert sum(map(len, there)) > 300


def test_ranks_and_methods_are_those_of_the_ranking_in_its_order() -> None:
    ranked = ranking()
    there = [(row.children[0].text.split()[0], row.children[1].text) for row in rows()]
    assert there == [(str(row["rank"] or "-"), row["method"]) for row in ranked]


def test_an_interval_is_the_terminals() -> None:
    store = Store.read(str(FIRST_BOARD))
    text = render_markdown(boards(store))
    store.close()
    drawn = [cell.text for row in rows() for cell in row.children if cell.has("drawn")]
    assert drawn[0] == "[60.5, 70.3]"
    for interval in filter(None, drawn):
        assert interval in text


def test_the_json_beside_the_page_is_the_commands() -> None:
    from harness.leaderboard.render_json import render_json

    store = Store.read(str(FIRST_BOARD))
    assert site_of(FIRST_BOARD)["leaderboard.json"].decode() == render_json(boards(store))
    store.close()


def test_measured_and_reported_have_marks_of_their_own() -> None:
    sections = [e for e in page().named("section") if e.has("board")]
    for section in sections:
        (badge,) = [e for e in page().elements if e.has("badge") and section in e.parents]
        assert badge.text == ("measured" if section.has("measured") else "reported")
        assert section.has(badge.text)
    assert {section.has("measured") for section in sections} == {True, False}
