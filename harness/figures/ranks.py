"""How certain the ranks are: for every row the 95 % interval of its rank, under a bootstrap that is paired by image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.errors import HarnessError, listed
from harness.figures.accuracies import TEST_IMAGES, TRAINING_SEEDS, about, measured_on, row_names
from harness.figures.axes import folded, write_caption
from harness.figures.marks import Marks, Value, number
from harness.figures.material import Material
from harness.figures.plot import Canvas, Plot
from harness.figures.style import COLUMN, TEXT, look_of
from harness.leaderboard.board import Board
from harness.leaderboard.cells import full_name
from harness.leaderboard.columns import Column, title_of
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.ranking import read_verdicts
from harness.statistics.paired import robust_under_every
from harness.statistics.resampled import rank_intervals
from harness.store.verdicts import VerdictsById

FEWEST_ROWS = 2


def _data(material: Material) -> Marks:
    return Marks.of(_rows(material))


def _rows(material: Material) -> Iterator[Mapping[str, Value]]:
    board = material.board()
    column, rows = board.column(board.ranked_by), board.ranked
    networks = _networks(board, column)
    seeds = _attack_seeds([n for of_row in networks for n in of_row], column)
    verdicts = read_verdicts(material.store, [n for of_row in networks for n in of_row])
    held = [[_verdicts(network, column, seeds, verdicts) for network in of_row] for of_row in networks]
    intervals = rank_intervals(held, board.fingerprint, column.name)
    count = len(networks[0])
    common: dict[str, Value] = {
        "attack": title_of(column.name),
        "rows": len(rows),
        "networks": count,
        "evaluations": sum(len(of_attack) for of_attack in seeds.values()),  # of each network: attacks and their seeds
        "over": f"{TEST_IMAGES} and {TRAINING_SEEDS}" if count > 1 else TEST_IMAGES,
    }
    shown = {id(row) for row in board.rows}
    for row, found in sorted(zip(rows, intervals, strict=True), key=lambda pair: pair[1].rank):
        if id(row) in shown:
            rank: dict[str, Value] = {"rank": found.rank, "low": found.low, "high": found.high}
            yield {**about(board), **row_names(board, row), **common, **rank}


def _networks(board: Board, column: Column) -> list[list[Contestant]]:
    """The networks of each row that are ranked: those of the training seeds that all rows have, in the same order.

    Where all rows have fewer than two training seeds in common, the network of the one, or each row's first network.

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
    common = sorted(set.intersection(*({*networks} for networks in by_seed)))
    if common:
        return [[networks[seed] for seed in common] for networks in by_seed]
    return [networks[:1] for networks in held]


def _attack_seeds(networks: Sequence[Contestant], column: Column) -> dict[str, list[int]]:
    """The attack seeds that all networks have, for each attack of the column: more seeds lower the worst case.

    Raises:
        HarnessError: they have none in common.
    """
    held = [column.evaluations(network) for network in networks]
    seeds = {a: sorted(set.intersection(*({e.seed for e in by[a]} for by in held))) for a in column.attacks}
    if none := [attack for attack, common in seeds.items() if not common]:
        raise HarnessError(f"the rows have no attack seed of {none[0]} in common; `harness run --seeds N` adds seeds")
    return seeds


def _verdicts(
    network: Contestant, column: Column, seeds: Mapping[str, Sequence[int]], verdicts: VerdictsById
) -> list[bytes]:
    """The verdicts for each attack seed in common; for the worst case those under every one of them at once."""
    evaluations = column.evaluations(network)
    held = [verdicts[e.id] for attack, common in seeds.items() for e in evaluations[attack] if e.seed in common]
    return held if column.name in column.attacks else [robust_under_every(held)]


def _draw(marks: Marks, canvas: Canvas) -> None:
    rows = marks.distinct("row")
    names = [folded(str(row)) for row in rows]
    lines = max(name.count("\n") + 1 for name in names)
    canvas.set_size_inches(COLUMN, 0.75 + 0.19 * lines * len(rows))
    axes = canvas.subplots()
    for place, mark in enumerate(marks.rows):
        look = look_of(str(mark["method"]))
        ends = [number(mark, "low"), number(mark, "high")]
        axes.plot(ends, [place, place], color=look.colour, linewidth=5, alpha=0.35, solid_capstyle="round", zorder=2)
        axes.plot([number(mark, "rank")], [place], color=look.colour, marker=look.marker, ls="none", zorder=3)
    last = int(number(marks.rows[0], "rows"))
    axes.set_xlim(0.6, last + 0.4)
    axes.set_xticks(range(1, last + 1) if last <= 12 else [1, *range(5, last + 1, 5)])
    axes.set_yticks(range(len(rows)), names, fontsize=TEXT)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines.left.set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(f"rank under {marks.only('attack')}")
    write_caption(canvas, _caption(marks))


def _caption(marks: Marks) -> str:
    networks = int(number(marks.rows[0], "networks"))
    seeds = f"the images and {networks} training seeds" if networks > 1 else "the images; one network a row"
    return f"{measured_on(marks)}; 95 % intervals over {seeds}"


RANKS = Plot(
    name="ranks",
    title="Ranks with their 95 % intervals, under a paired bootstrap",
    needs="two attacked rows of one board or more: harness run sat trades --dataset digits --arch smallcnn",
    data=_data,
    draw=_draw,
)
