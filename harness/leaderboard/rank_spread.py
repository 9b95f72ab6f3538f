"""How certain the ranks of a board are: for every row the 95 % interval of its rank, under a paired bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import HarnessError, legible, listed
from harness.leaderboard.board import MEASURED, Board, Row
from harness.leaderboard.cells import full_name
from harness.leaderboard.columns import Column, title_of
from harness.leaderboard.contestants import Contestant
from harness.statistics.resampled import RankInterval, rank_intervals
from harness.store.store import Store
from harness.store.verdicts import VerdictsById

FEWEST_ROWS, MOST_ROWS = 2, 100
MOST_VERDICTS = 20_000_000  # of a board that is shown: some ten seconds


@dataclass(frozen=True)
class RankSpread:
    """Rows that compete, each with its rank's interval, over test images and, where there are several, training seeds.

    Attributes:
        networks: of each row, one a training seed; a model from elsewhere has one, which stands for each.
        evaluations: of each network: attacks and their seeds.
        left_out: what these ranks leave out of some rows: further networks, attack seeds of these networks.
    """

    rows: tuple[tuple[Row, RankInterval], ...]
    networks: int
    evaluations: int
    left_out: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What was drawn."""
        return "test images and training seeds" if self.networks > 1 else "test images"


def rank_spread(store: Store, board: Board) -> RankSpread:
    """The intervals of the ranks of all rows that compete on a measured board, shown or not.

    Training seeds are those that all trained rows have; without any in common, each row has its first network. A model
    from elsewhere has no training seed: its one network stands beside each. Attack seeds are those that all of these
    networks have. A rank is that of these networks and seeds, which the board's need not be.

    Raises:
        HarnessError: there are fewer than two rows, a row has no figure in the column that ranks, or the rows have no
            attack seed in common.
    """
    found = competing(store, board)
    intervals = rank_intervals(found.verdicts, board.fingerprint, board.ranked_by)
    count = len(found.verdicts[0])
    left_out = []
    if any(len(row.networks) > count for row in board.ranked):
        left_out.append(f"networks beyond {count} a row")
    if found.further_seeds:
        left_out.append("attack seeds")
    return RankSpread(tuple(zip(board.ranked, intervals, strict=True)), count, found.evaluations, tuple(left_out))


@dataclass(frozen=True)
class Competing:
    """The verdicts behind the ranks of a board.

    Attributes:
        verdicts: for each row its networks, for each network its verdicts under each attack seed in common.
        checkpoints: of these networks, by their numbers in the store.
        evaluations: of each network: attacks and their seeds.
        further_seeds: whether a network has an attack seed that another one lacks.
    """

    verdicts: tuple[tuple[list[bytes], ...], ...]
    checkpoints: tuple[tuple[int, ...], ...]
    evaluations: int
    further_seeds: bool


def competing(store: Store, board: Board) -> Competing:
    """The verdicts of all rows that are ranked, on the training and attack seeds that all of them have.

    Raises:
        HarnessError: as ``rank_spread``.
    """
    column = board.column(board.ranked_by)
    networks = _networks(board, column)
    seeds = _attack_seeds([n for of_row in networks for n in of_row], column)
    used = {e.id for of_row in networks for n in of_row for es in column.evaluations(n).values() for e in es}
    verdicts = store.verdicts_of(used)
    held = tuple(tuple(_verdicts(network, column, seeds, verdicts) for network in of_row) for of_row in networks)
    checkpoints = tuple(tuple(network.checkpoint.id for network in of_row) for of_row in networks)
    count = sum(len(of_attack) for of_attack in seeds.values())
    all_seeds = (sum(map(len, column.evaluations(network).values())) for of_row in networks for network in of_row)
    return Competing(held, checkpoints, count, any(own > count for own in all_seeds))


def with_rank_intervals(store: Store, board: Board) -> Board:
    """A measured board whose shown rows have the intervals of their ranks, or the reason why they have none.

    Rows that have no rank do not compete. A board of one line a training seed has ranks of rows, and no intervals.
    """
    if board.source != MEASURED or board.by_seed:
        return board
    ranked = tuple(row for row in board.ranked if row.rank is not None)
    networks = [network for row in ranked for network in row.networks]
    column = board.column(board.ranked_by)
    evaluations = sum(len(es) for network in networks for es in column.evaluations(network).values())
    if len(ranked) > MOST_ROWS or evaluations * column.examples > MOST_VERDICTS:
        reason = f"{len(ranked)} rows and {evaluations} evaluations of {column.examples} images would take long"
        return replace(board, rank_note=f"no intervals of ranks: {reason}; `harness figures ranks` computes them")
    try:
        found = rank_spread(store, replace(board, ranking=ranked))
    except HarnessError as error:
        return replace(board, rank_note=f"no intervals of ranks: {error}")
    held = {row.key: interval for row, interval in found.rows}
    over = f"{found.unit}, n = {board.examples}" + (f" and {found.networks}" if found.networks > 1 else "")
    if found.left_out:
        over += f"; left out, since not all rows have their like: {listed(found.left_out)}"
    intervals = tuple(held.get(row.key) for row in board.rows)
    return replace(board, rank_intervals=intervals, rank_unit=found.unit, rank_note=f"95 %, over {over}")


def rank_line(board: Board) -> str:
    """The ranks of the shown rows with their intervals, in one line; or why there are none. Empty if nobody asked."""
    told = [
        f"{full_name(board, row)} {_ranks_text(row, interval)} [{interval.low}, {interval.high}]"
        for row, interval in zip(board.rows, board.rank_intervals, strict=False)
        if interval is not None
    ]
    return f"rank [{board.rank_note}; the same are drawn for all rows]: {', '.join(told)}" if told else board.rank_note


def _ranks_text(row: Row, interval: RankInterval) -> str:
    """The row's rank; then the one that the interval is about, if what is left out makes that another."""
    return f"{row.rank}" if interval.rank == row.rank else f"{row.rank}, without what is left out {interval.rank}"


def _networks(board: Board, column: Column) -> list[list[Contestant]]:
    """The networks of each row that are ranked: those of the training seeds that all rows have, in the same order.

    Where the rows have no training seed in common, each row's first network. A model from elsewhere, which has one
    network and no training seed, has it for each of the seeds: it stays what it is whichever seeds are drawn.

    Raises:
        HarnessError: there are fewer than two rows, or a row has no figure in the column.
    """
    rows = board.ranked
    held = [[network for network in row.networks if all(column.evaluations(network).values())] for row in rows]
    lacking = [full_name(board, row) for row, networks in zip(rows, held, strict=True) if not networks]
    if lacking:
        raise HarnessError(
            f"{listed(lacking)}: no accuracy under {title_of(column.name)}; `harness run` and `harness"
            " evaluate` attack them; or choose another --attack"
        )
    if len(rows) < FEWEST_ROWS:
        raise HarnessError(f"ranks need {FEWEST_ROWS} rows that compete; there is {len(rows)}")
    by_seed = [{n.train_seed: n for n in networks if n.train_seed is not None} for networks in held]
    trained = [{*networks} for networks in by_seed if networks]
    common = sorted(set.intersection(*trained)) if trained else []
    if common:
        pairs = zip(by_seed, held, strict=True)
        return [[seeds[s] for s in common] if seeds else networks[:1] * len(common) for seeds, networks in pairs]
    return [networks[:1] for networks in held]


def _attack_seeds(networks: Sequence[Contestant], column: Column) -> dict[str, list[int]]:
    """The attack seeds that all networks have, for each attack of the column: more seeds lower the worst case.

    Raises:
        HarnessError: they have none in common.
    """
    held = [column.evaluations(network) for network in networks]
    seeds = {a: sorted(set.intersection(*({e.seed for e in by[a]} for by in held))) for a in column.attacks}
    if none := [attack for attack, common in seeds.items() if not common]:
        raise HarnessError(
            f"the rows have no attack seed of {legible(none[0])} in common; `harness run --seeds N` adds seeds"
        )
    return seeds


def _verdicts(
    network: Contestant, column: Column, seeds: Mapping[str, Sequence[int]], verdicts: VerdictsById
) -> list[bytes]:
    """The verdicts for each attack seed in common; for the worst case those under every one of them at once."""
    evaluations = column.evaluations(network)
    return column.right([e for a, common in seeds.items() for e in evaluations[a] if e.seed in common], verdicts)
