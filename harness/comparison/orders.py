"""Does a ranking survive the protocol? The same rows on two boards, and Kendall's tau between their orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import HarnessError, legible, listed
from harness.leaderboard.board import MEASURED, Board, Row, Selection
from harness.leaderboard.rank_spread import competing
from harness.leaderboard.ranking import boards
from harness.statistics.figures import Interval
from harness.statistics.resampled import kendall_tau, observed_figures, tau_interval
from harness.store.store import Store

FEWEST_ROWS = 3


@dataclass(frozen=True)
class OrderComparison:
    """The rows that two boards share, in the column that ranks each board.

    Attributes:
        rows: the name of each row -> its figures on both boards, in percent, in the order of the first board: those of
            the training and attack seeds that all of a board's rows have, which the interval is about.
        tau: Kendall's tau-b between these; None where all figures of a board are equal.
        interval: its 95 % interval over test images and, where rows have several, training seeds; the rows are fixed.
        networks: of each row, one a training seed, on both boards.
        same_images, same_networks: whether both boards have the same, which were then drawn alike.
        left_out: rows of one board alone, and names that several rows of a board have.
        notes: what else differs.
    """

    first: Board
    second: Board
    rows: Mapping[str, tuple[float, float]]
    tau: float | None
    interval: Interval | None
    networks: tuple[int, int]
    same_images: bool
    same_networks: bool
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What was drawn."""
        return "test images and training seeds" if max(self.networks) > 1 else "test images"


def left_out_note(found: OrderComparison) -> list[str]:
    """Which rows do not count, in one line; nothing where all do."""
    return [f"on one board alone, or a name of several rows: {', '.join(found.left_out)}"] if found.left_out else []


def compare_orders(store: Store, protocols: Sequence[str], selection: Selection) -> OrderComparison:
    """Compare the orders of the same rows on the boards of two protocols.

    Args:
        protocols: two of them: names, or beginnings of fingerprints.
        selection: which data set, network, and checkpoint compete, and the attack that ranks.
    Raises:
        HarnessError: a protocol has no board, or several; or the boards share too few rows, or lack verdicts.
    """
    said = f"--protocols {','.join(protocols)}"
    if len(protocols) != 2 or not all(protocols) or protocols[0] == protocols[1]:
        raise HarnessError(f"{said} is refused: name two different protocols, such as digits,1a2b3c4d")
    one, other = (_board(store, name, selection) for name in protocols)
    if one.fingerprint == other.fingerprint and one.images == other.images:
        raise HarnessError(f"{said} is refused: both name the board of {one.heading}")
    if selection.sort is not None and not selection.sort == one.ranked_by == other.ranked_by:
        raise HarnessError(f"--attack {selection.sort}: only one of the two boards has it")
    network, checkpoint = (any(board.differs[part] for board in (one, other)) for part in (0, 1))
    ours, theirs = (_by_name(board, network=network, checkpoint=checkpoint) for board in (one, other))
    pairs = {name: (row, other_row) for name, row in ours.items() if row and (other_row := theirs.get(name))}
    shared = list(pairs)
    left_out = tuple(name for name in dict.fromkeys((*ours, *theirs)) if name not in pairs)
    if len(shared) < FEWEST_ROWS:
        rest = f"; only one board has, or has twice, {listed(left_out)}" if left_out else ""
        raise HarnessError(f"the two boards share {len(shared)} rows, and an order needs {FEWEST_ROWS}{rest}")
    boards_of_shared = [
        replace(board, ranking=tuple(rows[side] for rows in pairs.values())) for side, board in enumerate((one, other))
    ]
    held = [competing(store, board) for board in boards_of_shared]
    same_images = one.dataset_fingerprint == other.dataset_fingerprint and one.images == other.images
    same_networks = held[0].checkpoints == held[1].checkpoints
    purpose = (one.fingerprint, other.fingerprint, one.ranked_by, other.ranked_by)
    sides = (held[0].verdicts, held[1].verdicts)
    observed = [observed_figures(side) for side in sides]
    tau = kendall_tau(*observed)
    figures = dict(zip(pairs, zip(*observed, strict=True), strict=True))
    interval = tau_interval(*sides, *purpose, same_images=same_images, same_seeds=same_networks)
    networks = (len(sides[0][0]), len(sides[1][0]))
    known = interval if tau is not None else None
    notes = (*_notes(one, other), *_board_figures((one, other), pairs, figures))
    return OrderComparison(one, other, figures, tau, known, networks, same_images, same_networks, left_out, notes)


def _board(store: Store, protocol: str, selection: Selection) -> Board:
    found = boards(store, replace(selection, protocol=protocol, source=MEASURED))
    if not found:
        raise HarnessError(f"no measured board has the protocol {protocol}; `harness leaderboard` shows what there is")
    if len(found) > 1:
        there = "; ".join(board.heading for board in found)
        raise HarnessError(f"{protocol} has {len(found)} boards ({there}); say which, by --dataset, or a fingerprint")
    return found[0]


def _by_name(board: Board, *, network: bool, checkpoint: bool) -> dict[str, Row | None]:
    """The ranked rows by method, and by network and checkpoint where these are told apart.

    None for a name that several rows have: nobody can tell which is which on the other board.
    """
    ranked = [row for row in board.ranked if row.rank is not None]
    names = []
    for row in ranked:
        parts = (row.label, row.arch_label if network else "", row.checkpoint if checkpoint else "")
        names.append(" ".join(legible(part) for part in parts if part))
    once = Counter(names)
    return {name: row if once[name] == 1 else None for name, row in zip(names, ranked, strict=True)}


def _notes(one: Board, other: Board) -> Iterator[str]:
    """What else differs between the boards, where no row says it."""
    for what, attribute in (("networks", "arch_label"), ("checkpoints", "checkpoint")):
        ours, theirs = ({getattr(row, attribute) for row in board.ranked if row.rank} for board in (one, other))
        if len(ours) == len(theirs) == 1 and ours != theirs:
            yield f"their {what} differ, {legible(*ours)} and {legible(*theirs)}: an order is not the protocols' alone"


def _board_figures(
    compared: Sequence[Board], pairs: Mapping[str, Sequence[Row]], figures: Mapping[str, Sequence[float]]
) -> Iterator[str]:
    """The figures of rows that are others on their board, where further networks or attack seeds count."""
    for side, (letter, board) in enumerate(zip("AB", compared, strict=True)):
        others = [
            f"{name} {value:.2f}"
            for name, rows in pairs.items()
            if (value := rows[side].value(board.ranked_by)) is not None and abs(value - figures[name][side]) > 1e-6
        ]
        if others:
            yield (
                f"{letter}: the training and attack seeds that these rows have in common count; with all of their own"
                f" the board has {listed(others)}"
            )
