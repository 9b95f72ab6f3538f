"""A page that a server shows follows the database, and leaves alone whoever works with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.site import live
from harness.site.live import LiveSite
from harness.site.server import SiteServer
from tests.harness.site.conftest import Visit
from tests.harness.site.training import train

pytestmark = pytest.mark.browser


@pytest.fixture
def database(tmp_path: Path) -> Path:
    train(tmp_path / "board.db", "sat", 100)
    return tmp_path / "board.db"


@pytest.fixture
def address(database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(live, "REST", 0)
    monkeypatch.setattr(live, "LEAST_S", 0.0)
    with SiteServer(LiveSite(str(database)).files, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()


def test_a_new_row_appears_and_the_address_stays(visit: Visit, address: str, database: Path) -> None:
    page = visit(f"{address}#sort=pgd&dir=up")
    assert page.locator("#board-1 tbody th a").all_inner_texts() == ["sat"]
    train(database, "trades", 50)
    # One locator, since the page loads anew at each write, and sorts its rows after it is loaded.
    first, second = ":has(tr:nth-child(1) a:text-is('trades'))", ":has(tr:nth-child(2) a:text-is('sat'))"
    page.locator(f"#board-1 tbody{first}{second}").wait_for()
    assert page.url == f"{address}#sort=pgd&dir=up"


def test_whoever_is_busy_is_asked_first(visit: Visit, address: str, database: Path) -> None:
    page = visit(address)
    page.locator("#filter-method").fill("a")
    train(database, "mart", 50)
    button = page.get_by_role("button", name="Show them")
    button.wait_for()
    assert page.locator("#filter-method").input_value() == "a"
    assert page.locator("#board-1 tbody th a").count() == 1
    button.click()
    page.locator("#board-1 tbody th a").nth(1).wait_for()
    assert page.locator("#filter-method").input_value() == "a"


def test_a_run_is_seen_while_it_trains(visit: Visit, address: str, database: Path) -> None:
    page = visit(f"{address}run.html")
    train(database, "lrat")
    page.locator(".running", has_text="running").wait_for()
    assert page.locator("tbody tr").count() == 2
