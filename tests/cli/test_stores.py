"""A database that a command only reads: one that is named on the command line must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store.store import Store
from tests.cli.conftest import Harness, Refused

READERS = (
    "leaderboard",
    "runs",
    "show 1",
    "compare sat lrat",
    "figures ranks",
    "export hub 1 --out card",
    "export verdicts",
    "site --out pages",
    "rm 1 --yes",
    "note 1 x",
    "tag 1 --add x",
    "protocol diff digits paper",
)


@pytest.mark.parametrize("command", READERS)
def test_a_misspelt_one_is_refused_and_not_shown_as_empty(refusal: Refused, elsewhere: Path, command: str) -> None:
    Store.write("leaderboard.db").close()
    before = sorted(path.name for path in elsewhere.iterdir())
    said = "--db leaderbord.db is refused: there is no such database; did you mean leaderboard.db?"
    assert said in refusal(f"{command} --db leaderbord.db")
    assert sorted(path.name for path in elsewhere.iterdir()) == before


def test_where_none_is_like_it_the_remedy_is_told(refusal: Refused, elsewhere: Path) -> None:
    said = "there is no such database; check the path; `harness run` with the same --db makes one"
    assert said in refusal("runs --db nowhere/board.db")


def test_one_that_nobody_named_may_be_missing(
    harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project whose configuration or environment names it may have no result yet."""
    assert "No run yet" in harness("runs")
    monkeypatch.setenv("HARNESS_DB", "later.db")
    assert "No run yet" in harness("runs")
    Path("empty.db").touch()
    assert "No run yet" in harness("runs --db empty.db")
