"""The checkpoint ``best``: what its networks reached on the images that chose it, beside the board's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.leaderboard.board import Board, Row
from harness.leaderboard.choice import Chosen
from harness.store.store import Store
from harness.store.validated import ValidatedEpoch


def with_choices(store: Store, board: Board) -> Board:
    """The board whose rows of the checkpoint ``best`` say what chose them."""
    numbers = {number for row in board.rows if row.checkpoint == "best" for number in row.runs}
    if not numbers:
        return board
    validated = store.validated_of(numbers)
    return replace(board, rows=tuple(_with_choice(row, validated) for row in board.rows))


def _with_choice(row: Row, validated: Mapping[int, Sequence[ValidatedEpoch]]) -> Row:
    if row.checkpoint != "best":
        return row
    places = [(network.number, network.checkpoint.epoch) for network in row.networks]
    at = [one for number, epoch in places for one in validated.get(number or 0, ()) if one.epoch == epoch]
    if not at or len(at) < len(places):  # another program removed an epoch
        return row
    mean = sum(one.robust_percent for one in at) / len(at)
    chosen = Chosen(at[0].images, len(at), mean, tuple(one.epoch for one in at))
    return replace(row, chosen=chosen, notes=(*row.notes, chosen.text))
