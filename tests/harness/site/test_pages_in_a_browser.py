"""The pages of runs, methods, and comparisons in Chromium, opened from files; and what a checker of faults says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.site.conftest import Visit
from tests.harness.site.faults import faults

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGES = [
    "index.html",
    "index.html#tab=tab-2&sort=cw",
    "compare.html",
    "compare.html#column=pgd&first=2&second=5",
    "method.html",
    "method.html#method=lrat",
    "run.html",
    "run.html#run=26",
]


def rows(page: Page, heading: str) -> list[list[str]]:
    """The texts of the first table in the section of a heading."""
    section = page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))
    found = section.locator("table").first.locator("tbody tr")
    return [row.locator("th, td").all_inner_texts() for row in found.all()]


def test_a_run_shows_every_attack_and_seed_and_the_command(visit: Visit, published: Path) -> None:
    page = visit(f"{(published / 'run.html').as_uri()}#run=7")
    assert page.title() == "Run 7: sat · harness"
    attacks = rows(page, "Accuracy, checkpoint last, epoch 20")
    assert [row[:3] for row in attacks] == [
        ["natural", "98.06", "[96.0, 99.1]"],
        ["pgd", "69.72 ± 0.53", "[64.8, 74.2]"],
        ["cw", "69.44 ± 0.72", "[64.5, 74.0]"],
        ["minimum-margin", "64.17 ± 0.23", "[59.1, 68.9]"],
        ["autoattack", "63.89 ± 0.25", "[58.8, 68.7]"],
    ]
    seeds = [text.split(" of 360")[0] for text in attacks[4][3].splitlines()]
    assert seeds == ["0 230", "1 230", "2 231", "3 230", "4 232"]
    command = "harness run sat --dataset digits --arch smallcnn --train-seeds 2 --seeds 5 --protocol digits"
    assert page.locator("pre").first.inner_text() == command
    assert page.locator(".chart canvas").count() == 4  # loss, learning rate, and two samples of images
    assert rows(page, "Accuracy by class, last")[0][0] == "0"


def test_classes_add_up_to_the_accuracy_under_every_seed(visit: Visit, published: Path) -> None:
    page = visit(f"{(published / 'run.html').as_uri()}#run=7")
    texts = [row[1] for row in rows(page, "Accuracy by class, last")]  # natural accuracy has one seed
    counts = [text.split("(")[1].rstrip(")").split("/") for text in texts]
    assert [sum(int(count[side]) for count in counts) for side in (0, 1)] == [353, 360]


def test_the_list_of_runs_leads_to_a_run_and_back(visit: Visit, published: Path) -> None:
    page = visit((published / "run.html").as_uri())
    assert len(page.locator("tbody tr").all()) >= 35
    page.get_by_role("link", name="26", exact=True).click()
    page.get_by_role("heading", name="Run 26: gair-trades").wait_for()
    # of its two flags one is relative to other rows, and so stands on the board
    assert page.locator("details[open]").count() == 1
    assert "logit-scale" in page.locator("details[open]").inner_text()
    assert page.locator("details summary", has_text="none flagged").count() > 0
    page.get_by_role("link", name="all of gair-trades").click()
    page.get_by_role("heading", name="gair-trades", level=1).wait_for()


def test_a_run_that_is_not_there_is_said_so(visit: Visit, published: Path) -> None:
    page = visit(f"{(published / 'run.html').as_uri()}#run=9999")
    assert page.get_by_text("There is no run 9999.").is_visible()
    page = visit(f"{(published / 'method.html').as_uri()}#method=nobody")
    assert page.get_by_text("There is no method nobody here.").is_visible()


def test_a_method_shows_formula_settings_figures_and_bibtex(visit: Visit, published: Path) -> None:
    page = visit(f"{(published / 'method.html').as_uri()}#method=lrat")
    assert "w_j" in page.locator(".formula").inner_text()
    assert ["minimum", "float", "0.1", "C, the least total weight of an instance (Eq. 5)"] in rows(page, "Settings")
    assert page.locator(".standing.measured td").all_inner_texts()[3:5] == ["62.78 ± 0.40", "62.78 ± 0.36"]
    assert page.locator(".standing.reported").count() > 0
    assert "@article{gao2021local," in page.locator("pre").inner_text()
    assert [row[0] for row in rows(page, "Networks")][:5] == ["16", "17", "18", "19", "20"]


def test_two_rows_are_chosen_by_lists_or_in_the_square_and_kept_in_the_address(visit: Visit, published: Path) -> None:
    page = visit((published / "compare.html").as_uri())
    sentence = page.locator("section p", has_text="A minus B").inner_text
    assert "+2.22 points [+0.6, +3.9], paired t over 5 training seeds, p = 0.105 after Holm's correction" in sentence()
    page.locator("#choose-second").select_option(label="standard")
    assert "a significant difference" in sentence()
    page.locator("#choose-first").select_option(label="standard")
    page.locator("#choose-second").select_option(label="lrat")
    assert "A is standard, B is lrat" in sentence()
    assert "-63.17 points" in sentence()
    page.locator(".square").first.locator("td[data-row='2'][data-column='5']").click()
    assert "A is lrat-trades, B is gair-trades" in sentence()
    again = visit(page.url)
    assert "A is lrat-trades, B is gair-trades" in again.locator("section p", has_text="A minus B").inner_text()


def test_a_turned_pair_turns_its_table(visit: Visit, published: Path) -> None:
    def counts(first: int, second: int) -> list[str]:
        page = visit(f"{(published / 'compare.html').as_uri()}#first={first}&second={second}")
        return page.locator(".crossed").first.locator("td.figure").all_inner_texts()

    both, one, other, neither = counts(0, 1)
    assert [both, one, other, neither] == ["221", "12", "9", "118"]
    assert counts(1, 0) == [both, other, one, neither]


def test_the_front_and_the_overlap_are_drawn(visit: Visit, published: Path) -> None:
    page = visit(f"{(published / 'compare.html').as_uri()}#column=pgd")
    assert page.locator("polyline.front").count() == 1
    assert page.locator("svg.scatter").first.locator("circle").count() == 7
    assert page.get_by_text("20 for two random sets").is_visible()
    assert page.locator(".square").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_has_a_serious_fault(visit: Visit, published: Path, scheme: str, width: int) -> None:
    for address in PAGES:
        name, _, state = address.partition("#")
        page = visit(
            f"{(published / name).as_uri()}#{state}", color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        if name == "index.html":
            page.get_by_role("button", name="Details of").first.click()
        assert faults(page) == [], address
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, address  # nothing hangs over the edge
        page.context.close()


def test_without_scripts_the_boards_are_whole(visit: Visit, published: Path) -> None:
    page = visit((published / "index.html").as_uri(), ready=False, java_script_enabled=False)
    assert page.locator("table").count() == page.locator("section.board").count() > 3
    assert page.locator("section.board tbody tr").count() > 70
    assert page.locator("section.board").last.is_visible()
    assert page.locator("#filters").is_hidden()  # nothing is offered that needs scripts
