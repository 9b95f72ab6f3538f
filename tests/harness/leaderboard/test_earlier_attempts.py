"""A training that is repeated: the newer attempt counts, and what only the earlier one has is named, not dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.leaderboard.board import Board
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import render_markdown
from harness.site.snapshot import Snapshot
from harness.store.store import Store
from tests import stores
from tests.harness.leaderboard.drawn import ATTACKS
from tests.harness.leaderboard.rendered import printed

RIGHT = [1, 0, 1, 1]


@pytest.fixture
def store(tmp_path: Any) -> Store:
    """In a file, so that a snapshot can read it; its one training has an attempt with every attack."""
    store = Store.write(str(tmp_path / "store.db"))
    stores.see_protocol(store, ATTACKS, stores.make_spec().training)
    attempt(store, 1, ("natural", "pgd", "cw"))
    return store


def attempt(store: Store, number: int, attacks: tuple[str, ...], *, status: str = "done") -> int:
    run = stores.start(store, stores.make_spec(), attempt=number)
    last = stores.add_checkpoint(store, run, "last", 2)
    for attack in attacks:
        stores.add_evaluation(store, last, attack, ATTACKS[attack], RIGHT, block=4)
    if status == "done":
        store.end_run(run.id)
    return run.id


def only(store: Store) -> Board:
    (board,) = (board for board in boards(store) if board.source == "measured")
    return board


def figures(board: Board) -> dict[str, bool]:
    (row,) = board.rows
    return {name: figure is not None for name, figure in row.metrics.items()}


def test_what_the_newer_attempt_lacks_is_named(store: Store) -> None:
    attempt(store, 2, ("natural", "pgd"))
    board = only(store)
    assert figures(board) == {"natural": True, "pgd": True, "cw": False, "worst_case": False}
    (note,) = board.rows[0].notes
    assert note.startswith("run 2 counts in place of run 1, an earlier attempt at the same training, and has no figure")
    assert "under cw yet" in note


def test_a_board_stays_where_the_newer_attempt_has_no_figure_at_all(store: Store) -> None:
    attempt(store, 2, ())
    board = only(store)
    assert not any(figures(board).values())
    (note,) = board.rows[0].notes
    assert "under natural, pgd, cw yet" in note
    for text in (printed([board], 200), render_markdown([board]), render_json([board])):
        assert "run 2 counts in place of run 1" in text
    assert "run 2 counts in place of run 1" in render_latex([board])
    render_csv([board])


def test_an_attempt_with_every_figure_needs_no_word(store: Store) -> None:
    attempt(store, 2, ("natural", "pgd", "cw"))
    assert only(store).rows[0].notes == ()
    assert all(figures(only(store)).values())


def test_an_attempt_that_is_not_done_takes_no_place(store: Store) -> None:
    attempt(store, 2, ("natural",), status="running")
    assert only(store).rows[0].notes == ()
    assert all(figures(only(store)).values())


def test_of_several_the_newest_that_has_the_figure_is_named(store: Store) -> None:
    attempt(store, 2, ("natural", "cw"))
    attempt(store, 3, ("natural",))
    notes = only(store).rows[0].notes
    assert [(note[:29], note.partition("under ")[2][:8]) for note in notes] == [
        ("run 3 counts in place of run ", "pgd yet:"),
        ("run 3 counts in place of run ", "cw yet: "),
    ]


def test_other_settings_of_the_attack_do_not_stand_in(store: Store) -> None:
    other = ATTACKS | {"cw": {"block_size": 4, "kappa": 1.0}}
    run = stores.start(store, stores.make_spec(), attempt=2)
    last = stores.add_checkpoint(store, run, "last", 2)
    for attack, settings in other.items():
        stores.add_evaluation(store, last, attack, settings, RIGHT, block=4)
    store.end_run(run.id)
    assert "under cw" in only(store).rows[0].notes[0]


def test_the_web_page_says_the_same(store: Store) -> None:
    attempt(store, 2, ("natural", "pgd"))
    (board,) = (board for board in boards(Snapshot(store._engine)) if board.source == "measured")
    assert [replace(row, networks=()) for row in board.rows] == [replace(row, networks=()) for row in only(store).rows]
