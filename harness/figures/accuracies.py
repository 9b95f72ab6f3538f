"""The accuracies of a row with their 95 % intervals, as figures show them: over training seeds, or over test images."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.errors import visible
from harness.figures.marks import Marks, Value, number
from harness.leaderboard.board import Board, Row
from harness.leaderboard.cells import MADE_ELSEWHERE, full_name, range_text
from harness.leaderboard.columns import WORST_CASE, title_of
from harness.leaderboard.legend import ELSEWHERE
from harness.statistics.collapse import collapsed_under
from harness.statistics.figures import t_interval, wilson
from harness.store.verdicts import VerdictsById

TRAINING_SEEDS, TEST_IMAGES = "training seeds", "test images"
COLLAPSED = "training seeds, of which one collapsed or more"  # the ends are the least and the greatest, no interval


@dataclass(frozen=True)
class Accuracy:
    """An accuracy in percent with its 95 % interval, and what the interval is over.

    Attributes:
        value: the mean over training seeds of each network's median over attack seeds; for one network its median.
            Where a seed collapsed no mean describes the networks: the median of their medians.
        low, high: Student's interval over ``n`` training seeds; for one network Wilson's over ``n`` test images. As
            Student's is, it may pass 0 or 100. Where a seed collapsed: the least and the greatest of ``n`` networks.
    """

    value: float
    low: float
    high: float
    unit: str
    n: int

    def columns(self, prefix: str = "") -> dict[str, Value]:
        """The accuracy as columns of a figure's data."""
        values: dict[str, Value] = {"value": self.value, "low": self.low, "high": self.high}
        return {f"{prefix}{name}": value for name, value in (values | {"over": self.unit, "n": self.n}).items()}


def accuracy_of(percents: Sequence[float], images: int, classes: int) -> Accuracy:
    """The accuracy of networks of one kind, given each network's, in percent, on so many test images."""
    if len(percents) == 1:
        return _of_one(percents[0], images)
    if collapsed(percents, images, classes):
        return _range_of(percents)
    mean = statistics.fmean(percents)
    over_seeds = t_interval(mean, statistics.stdev(percents), len(percents))
    assert over_seeds is not None
    return Accuracy(mean, over_seeds.low, over_seeds.high, TRAINING_SEEDS, len(percents))


def collapsed(percents: Sequence[float], images: int, classes: int) -> bool:
    """Whether a network is at chance while another one of its kind stands; see ``collapsed_under``."""
    return any(collapsed_under([percent * images / 100 for percent in percents], images, classes))


def _of_one(percent: float, images: int) -> Accuracy:
    interval = wilson(percent, images)
    return Accuracy(percent, interval.low, interval.high, TEST_IMAGES, images)


def _range_of(percents: Sequence[float]) -> Accuracy:
    return Accuracy(statistics.median(percents), min(percents), max(percents), COLLAPSED, len(percents))


def accuracy(board: Board, row: Row, column: str) -> Accuracy | None:
    """A row's accuracy in a column; None where it has none."""
    figure = row.metrics.get(column)
    if figure is None or not board.examples:
        return None
    if figure.train is None:
        return _of_one(figure.median, board.examples)
    if row.failed is not None and row.failed.spoils_means:
        return _range_of(list(row.failed.figures[column].values()))
    interval = t_interval(figure.train.mean, figure.train.std, figure.train.n)
    assert interval is not None
    return Accuracy(figure.train.mean, interval.low, interval.high, TRAINING_SEEDS, figure.train.n)


def of_each_network(board: Board, row: Row, column: str, verdicts: VerdictsById) -> Iterator[tuple[int | None, float]]:
    """The training seed of each network of the row that has a figure in the column, and the figure, in percent."""
    held = board.column(column)
    for network in sorted(row.networks, key=lambda network: network.train_seed or 0):
        evaluations = held.evaluations(network)
        if all(evaluations.values()):
            together = [e for of_attack in evaluations.values() for e in of_attack]
            yield network.train_seed, held.figure(together, verdicts)


def covered(board: Board, row: Row, column: str) -> dict[str, Value]:
    """How many evaluations a network's figure in a column is of, attacks and their seeds: the fewest, and the most."""
    held = [board.column(column).evaluations(network) for network in row.networks]
    counts = [sum(map(len, evaluations.values())) for evaluations in held if all(evaluations.values())]
    return {"evaluations": min(counts), "evaluations_most": max(counts)}


def uneven_text(marks: Marks) -> str:
    """A phrase that says where worst cases cannot be compared, since some are of more evaluations; else empty."""
    held = marks.where(attack=title_of(WORST_CASE))
    counts = [int(number(row, name)) for row in held for name in ("evaluations", "evaluations_most")]
    if len(set(counts)) < 2:
        return ""
    return f"; worst cases of {range_text(counts)} evaluations a network, and they fall with more"


def about(board: Board) -> dict[str, Value]:
    """What holds for the whole board, as columns of a figure's data."""
    return {
        "dataset": board.dataset,
        "protocol": f"{board.protocol} [{board.fingerprint[:8]}]",
        "images": board.examples,
        "epsilon": board.scope.epsilon if board.scope is not None else None,
        "norm": board.scope.norm if board.scope is not None else None,
    }


def row_names(board: Board, row: Row) -> dict[str, Value]:
    """Which row it is: the name that the figure shows, and the method whose colour and marker it has."""
    return {"row": full_name(board, row), "method": row.method}


def measured_on(marks: Marks) -> str:
    """On what a figure's accuracies were measured: ``digits, 360 test images``; and what the sign of a name means."""
    elsewhere = any(MADE_ELSEWHERE in str(row) for row in marks.distinct("row"))
    meaning = f"; {MADE_ELSEWHERE} {ELSEWHERE}" if elsewhere else ""
    return f"{visible(str(marks.only('dataset')))}, {marks.only('images')} test images{meaning}"


def over_text(marks: Marks, *prefixes: str) -> str:
    """What the intervals of a figure are over: ``95 % intervals over 5 training seeds``.

    Args:
        prefixes: of the columns of each accuracy; none: the columns have no prefix.
    """
    names = [(f"{prefix}over", f"{prefix}n") for prefix in prefixes or ("",)]
    units = dict.fromkeys((row[over], row[n]) for over, n in names for row in marks.rows if row[over] is not None)
    counts = {unit: [int(n or 0) for other, n in units if other == unit] for unit, _ in units}
    ranges = counts.pop(COLLAPSED, [])
    texts = (
        [f"95 % intervals over {' or '.join(f'{range_text(n)} {unit}' for unit, n in counts.items())}"]
        if counts
        else []
    )
    if ranges:
        texts.append(
            f"where a seed collapsed, the median, the least, and the greatest of {range_text(ranges)} networks"
        )
    return "; ".join(texts)
