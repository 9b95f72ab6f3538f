"""Names are texts: whatever they contain, nothing runs, nothing breaks, and each is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import legible
from harness.site.boards import method_address
from harness.site.pages import PAGES
from tests.harness.site.conftest import Visit
from tests.harness.site.hostile import NAMES, SCRIPT, hostile_store
from tests.harness.site.made import Parsed, site_of, written

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("hostile") / "board.db"
    hostile_store(file)
    return file


@pytest.fixture(scope="module")
def site(database: Path) -> Path:
    return written(database, database.parent / "site")


def test_the_page_has_no_element_that_a_name_made(database: Path) -> None:
    files = site_of(database)
    for page in PAGES:
        parsed = Parsed(files[page])
        assert all(
            script.attributes.get("src", "").startswith(("static/", "data/")) for script in parsed.named("script")
        )
        assert parsed.named("img") == []
        assert not [e for e in parsed.elements if any(key.startswith("on") for key in e.attributes)]


def test_every_name_is_on_the_board(database: Path) -> None:
    heads = [e.text for e in Parsed(site_of(database)["index.html"]).named("th") if e.attributes.get("scope") == "row"]
    for name in NAMES:
        assert [head for head in heads if head.startswith(legible(name))], name


def test_a_method_of_any_name_has_an_address_of_its_own(database: Path) -> None:
    links = [e.attributes["href"] for e in Parsed(site_of(database)["index.html"]).named("a")]
    of_methods = {link for link in links if link.startswith("method.html#")}
    assert len(of_methods) == len(NAMES)
    assert all(re.fullmatch(r"method\.html#method=[A-Za-z0-9%._~-]+", link) for link in of_methods)


@pytest.mark.browser
class TestInABrowser:
    """The fixture ``visit`` fails if a dialog opens, the console says anything, or a request goes elsewhere."""

    @pytest.mark.parametrize("width", [1280, 390])
    def test_the_board_shows_them_and_runs_nothing(self, visit: Visit, site: Path, width: int) -> None:
        page = visit((site / "index.html").as_uri(), viewport={"width": width, "height": 900})
        assert page.title() == "Leaderboard · harness"
        for button in page.locator("button.expand:visible").all():
            button.click()
        page.locator("button.flag").first.hover()
        assert NAMES[2] in page.get_by_role("tooltip").inner_text()
        assert page.get_by_text(SCRIPT).count() > 0
        assert page.locator("#filter-network option", has_text=SCRIPT).count() == 1
        page.locator("#filter-method").fill("<script>")
        assert page.locator("#board-1 tbody tr:visible:not(.more)").count() >= 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_failed_seeds_are_shown_as_failed(self, visit: Visit, site: Path) -> None:
        page = visit((site / "index.html").as_uri())
        assert page.get_by_text("1 of 2 training seeds failed").count() == 1
        assert page.get_by_text("1 of 1 training seeds failed").count() == 1  # and has no row

    @pytest.mark.parametrize("name", range(len(NAMES)))
    def test_every_page_shows_them_and_runs_nothing(self, visit: Visit, site: Path, name: int) -> None:
        page = visit((site / "index.html").as_uri())
        page.locator(f"#board-1 tbody th a[href='{method_address(legible(NAMES[name]))}']").click()
        self.ready(page)
        assert page.locator("h1").inner_text().strip() == legible(NAMES[name]).strip()
        page.goto(f"{(site / 'run.html').as_uri()}#run={name + 1}")
        self.ready(page)
        assert page.locator("h1").inner_text().startswith(f"Run {name + 1}: ")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        page.goto(f"{(site / 'compare.html').as_uri()}#first={name}&second={(name + 1) % len(NAMES)}")
        self.ready(page)
        assert page.locator("img, main script, iframe").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        page.goto(f"{(site / 'run.html').as_uri()}#model={name + 1}")
        self.ready(page)
        assert page.locator("h1").inner_text().strip() == legible(NAMES[name]).strip()

    @staticmethod
    def ready(page: Page) -> None:
        page.wait_for_selector("html[data-ready=yes]", state="attached")

    def test_an_address_that_lies_runs_nothing(self, visit: Visit, site: Path) -> None:
        for state in (
            "#method=<img src=x onerror=alert(1)>",
            "#run=<script>",
            "#tab=%00&sort=__proto__&dir=x",
            "#=&&=%",
        ):
            for name in PAGES:
                visit(f"{(site / name).as_uri()}{state}").context.close()
