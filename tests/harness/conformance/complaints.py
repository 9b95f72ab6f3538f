"""What the checks of a kind say of one plugin."""

from __future__ import annotations

import re

from harness.conformance import run_checks
from harness.plugin.settings import Plugin


def complaints(kind: str, plugin: Plugin) -> dict[str, str]:
    return {finding.check: finding.problem for finding in run_checks(kind, plugin) if finding.problem}


def assert_complains(kind: str, plugin: Plugin, check: str, words: str) -> None:
    """The plugin fails the check, and what is said of it matches the words."""
    found = complaints(kind, plugin)
    assert check in found
    assert re.search(words, found[check]), found[check]
