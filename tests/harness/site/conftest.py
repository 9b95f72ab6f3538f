"""A Chromium that is installed on this machine, and pages that may ask for nothing but the site's own files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.first_board import FIRST_BOARD
from tests.harness.site.made import written

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request

WIDE = {"width": 1280, "height": 900}
Visit = Callable[..., "Page"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium from the system's packages; without one the tests that need a browser are skipped."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the site of the published leaderboard."""
    return written(FIRST_BOARD, tmp_path_factory.mktemp("published") / "site")


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens a page, and waits until its scripts are done.

    At the end the test fails if a page wrote to the console, raised an error, opened a dialog, or asked for anything
    but files, or the server, of this machine.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def seen(request: Request) -> None:
        if not request.url.startswith(("file://", "http://127.0.0.1:", "data:,")):
            faults.append(f"request: {request.url}")

    def call(address: str, *, ready: bool = True, **options: object) -> Page:
        context = chromium.new_context(**{"viewport": WIDE} | options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", dismiss)
        page.on("request", seen)
        page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
        page.goto(address)
        if ready:
            page.wait_for_selector("html[data-ready=yes]", state="attached")
        return page

    yield call
    for context in contexts:
        context.close()
    assert faults == []
