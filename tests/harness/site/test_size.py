"""A site of a thousand runs, each with its curves, stays small, beside the JSON that no page loads."""

from __future__ import annotations

import json

import pytest

from harness.site.pages import PAGES, make_site
from tests.harness.site.large import large_store
from tests.harness.site.made import MADE, Parsed

MOST = 1_100_000  # bytes


@pytest.mark.slow
def test_a_thousand_runs_take_few_bytes() -> None:
    files = make_site(large_store(1000), database="large.db", made=MADE)
    loaded = {name: len(content) for name, content in files.items() if name != "leaderboard.json"}
    assert sum(loaded.values()) < MOST, sorted(loaded.items(), key=lambda item: -item[1])[:6]
    assert len(json.loads(files["leaderboard.json"])["rows"]) >= 200


def test_runs_more_cost_few_bytes() -> None:
    """From 125 runs to 165, whose rows are too many to be compared two by two; so many more make a thousand."""
    sizes = []
    for networks in (125, 165):
        files = make_site(large_store(networks), database="large.db", made=MADE)
        sizes.append(sum(len(content) for name, content in files.items() if name != "leaderboard.json"))
        assert all(Parsed(files[page]).named("main") for page in PAGES)
    assert sizes[0] + (sizes[1] - sizes[0]) * (1000 - 125) / 40 < MOST
