"""The leaderboard in Chromium, opened from a file: tabs, sorting, filters, the address, flags, and details."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.site.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

RANKED = ["sat", "lrat", "lrat-trades", "trades", "gairat", "gair-trades", "standard"]


def methods(page: Page, board: str = "#board-1") -> list[str]:
    """The methods of a board's visible rows, from top to bottom."""
    rows = page.locator(f"{board} tbody tr:visible th a, {board} tbody tr:visible th:not(:has(a))")
    return [text.removeprefix("+") for text in rows.all_inner_texts()]


@pytest.fixture
def board(visit: Visit, published: Path) -> Page:
    return visit((published / "index.html").as_uri())


def test_rows_stand_as_ranked_until_a_column_sorts_them(board: Page) -> None:
    assert methods(board) == RANKED
    board.get_by_role("button", name="natural").first.click()
    falling = ["lrat", "standard", "sat", "gairat", "trades", "lrat-trades", "gair-trades"]  # equals as ranked
    assert methods(board) == falling
    assert board.locator("#board-1 th[aria-sort=descending]").inner_text().startswith("natural")
    board.get_by_role("button", name="natural").first.click()
    assert methods(board) == ["gair-trades", "lrat-trades", "trades", "sat", "gairat", "lrat", "standard"]
    assert board.locator("#board-1 th[aria-sort=ascending]").count() == 1


def test_the_drawing_is_of_the_column_that_sorts(board: Page) -> None:
    def drawn() -> str | None:
        return board.locator("#board-1 tbody tr:first-child svg.interval").get_attribute("aria-label")

    assert drawn() == "65.56 ± 0.23; interval over test images [60.5, 70.3]; networks 65.28, 63.89, 65.56, 65.83, 66.39"
    board.get_by_role("button", name="pgd").first.click()
    assert (drawn() or "").startswith("73.33 ± 0.56; interval over test images [68.5, 77.6]; networks ")
    assert board.locator("#board-1 tbody tr:first-child circle.dot").count() == 5  # one for each training seed


def test_filters_hide_rows_and_the_address_keeps_them(board: Page, visit: Visit) -> None:
    board.locator("#filter-method").fill("trades")
    assert methods(board) == ["lrat-trades", "trades", "gair-trades"]
    assert board.get_by_role("status").inner_text().startswith("3 of 7 rows match")
    board.locator("#filter-sort").select_option("cw")
    assert methods(board) == ["lrat-trades", "trades", "gair-trades"]
    again = visit(board.url)
    assert methods(again) == ["lrat-trades", "trades", "gair-trades"]
    assert again.locator("#filter-method").input_value() == "trades"
    assert again.locator("#filter-sort").input_value() == "cw"
    again.get_by_role("button", name="reset").click()
    again.locator("#status:empty").wait_for(state="attached")
    assert methods(again) == RANKED


def test_a_filter_that_matches_nothing_says_so(board: Page) -> None:
    board.locator("#filter-method").fill("nothing of that name")
    assert board.get_by_role("status").inner_text() == "No row of this tab matches the filters."


def test_tabs_show_one_data_set_each_and_obey_the_keyboard(board: Page) -> None:
    tabs = board.get_by_role("tab")
    assert tabs.first.inner_text() == "digits, L∞ 0.2"
    tabs.first.focus()
    for number, name in ((2, "folder:cifar10-jpeg-10k, L∞ 8/255"), (3, "cifar10, L∞ 8/255")):
        board.keyboard.press("ArrowRight")
        assert board.locator("[role=tab][aria-selected=true]").inner_text() == name
        assert f"tab=tab-{number}" in board.url
    assert board.locator("#board-1").is_hidden()
    assert board.locator(".badge.reported:visible").count() > 0
    board.keyboard.press("Home")
    assert board.locator("#board-1").is_visible()


def test_a_flag_is_explained_on_hover_and_by_the_keyboard(board: Page) -> None:
    flag = board.locator("#board-1 button.flag[aria-label='flag A']").first
    flag.hover()
    assert "autoattack-gap on 4 of 5 networks" in board.get_by_role("tooltip").inner_text()
    board.keyboard.press("Escape")
    assert board.get_by_role("tooltip").count() == 0
    flag.focus()
    assert "autoattack-gap" in board.get_by_role("tooltip").inner_text()


def test_a_row_opens_its_intervals_and_its_runs(board: Page) -> None:
    button = board.get_by_role("button", name="Details of sat", exact=True)
    button.focus()
    board.keyboard.press("Enter")
    more = board.locator("#board-1 tr.more")
    assert "[60.5, 70.3]" in more.inner_text()
    assert "mean of 5 networks 65.39 [64.2, 66.5]" in more.inner_text()
    assert more.get_by_role("link").all_inner_texts() == ["6", "7", "8", "9", "10"]
    board.keyboard.press("Enter")
    assert more.count() == 0
