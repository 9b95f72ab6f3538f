"""All pairs of many rows: told before, bounded as text, whole as JSON, and each as the pair alone."""

from __future__ import annotations

import itertools
from io import StringIO

import pytest
from rich.console import Console

from harness.cli import compare as command
from harness.comparison.comparison import families, rivals
from harness.comparison.document import family_document
from harness.comparison.text import MOST_PAIRS, family_parts
from harness.leaderboard.board import Selection
from harness.leaderboard.pairs import Decision, compare_rows, corrected
from tests.harness.comparison.kept import Kept, Put

ROWS = 21  # 210 pairs


@pytest.fixture
def many(store: Kept, put: Put) -> Kept:
    for number in range(ROWS):
        right = f"{number:05b}" + "1" * 7
        for train_seed in range(1 + number % 2):
            put(f"method{number:02}", {"pgd": [right[train_seed:] + right[:train_seed], right]}, train_seed)
    return store


def test_the_text_is_bounded_and_says_what_is_missing(many: Kept) -> None:
    found = families(many, rivals(many, Selection(sort="pgd")))
    text = StringIO()
    console = Console(file=text, width=200)
    for part in family_parts(found):
        console.print(part)
    lines = text.getvalue().splitlines()
    assert sum(line.lstrip().startswith("method") for line in lines) == MOST_PAIRS == 200
    assert "The pairs of the best rows come first; 10 more are in --json." in [line.strip() for line in lines]
    assert "210 pairs" in text.getvalue()
    (board,) = family_document(found)["boards"]
    assert len(board["pairs"]) == 210


def test_each_decision_is_that_of_its_pair_from_one_byte_an_image(many: Kept) -> None:
    ((board, rows),) = compared = rivals(many, Selection(sort="pgd"))
    (family,) = families(many, compared)
    verdicts = dict(many.verdicts_of({e.id for r in rows for n in r.networks for e in n.checkpoint.evaluations}))
    alone: list[Decision | None] = []
    for one, other in itertools.combinations(rows, 2):
        alone.append(compare_rows(one.networks, other.networks, board.column("pgd"), verdicts))
    assert list(family.pairs.values()) == corrected(alone)
    assert {decision.test for decision in alone if decision is not None} == {"paired t", "McNemar"}


def test_many_pairs_are_told_before(capsys: pytest.CaptureFixture[str]) -> None:
    command._tell_many([141])  # 9,870 pairs
    assert capsys.readouterr().err == ""
    command._tell_many([300, 100])
    assert capsys.readouterr().err == (
        "harness: comparing 49800 pairs of 400 rows takes about 6 s; --dataset, --arch, --checkpoint, and --protocol"
        " compare fewer\n"
    )
    command._tell_many([2000, 2])  # 1,999,000 pairs and 1
    assert "1999001 pairs of 2002 rows takes about 249 s and 2.0 GB of memory; " in capsys.readouterr().err
