"""What a checker of web pages finds wrong with a page."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


def faults(page: Page) -> list[str]:
    """The serious and critical faults that axe finds."""
    script = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(script)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    bad = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical")]
    return [json.dumps([f["id"], f["help"], [n["html"][:200] for n in f["nodes"][:3]]]) for f in bad]
