"""The leaderboard as tidy rows: one for each figure, not rounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.leaderboard.board import Board, Row
from harness.leaderboard.failed_seeds import FailedSeeds
from harness.leaderboard.failed_text import seed_text
from harness.leaderboard.render_json import row_document
from harness.leaderboard.varied import values_of

COLUMNS = (
    *("dataset", "source", "protocol", "fingerprint", "examples", "rank", "method", "network", "checkpoint"),
    *("attack", "median_percent", "std_percent", "n", "networks", "train_mean_percent", "train_std_percent"),
    *("wilson_low_percent", "wilson_high_percent", "train_t_low_percent", "train_t_high_percent", "tied"),
    *("train_seed", "ranked_by", "ranked_rows", "ranked_network", "ranked_checkpoint", "epsilon", "norm", "flags"),
    *("dataset_fingerprint", "sample", "not_judged", "failed", "failed_of", "failed_low_percent"),
    *("failed_high_percent", "failed_train_seeds", "failed_why", "unchecked"),
)


SETTING = "setting_"
"""Before the name of a setting that has a column: see ``harness.leaderboard.varied``."""


def varied_columns(boards: Sequence[Board]) -> tuple[str, ...]:
    """The columns of the settings in which rows of one method differ, on any of the boards."""
    return tuple(dict.fromkeys(f"{SETTING}{name}" for board in boards for name in board.varied))


def varied_cells(board: Board, row: Row) -> dict[str, Any]:
    """The row's values of these settings: numbers and texts; without those that it does not have."""
    own = values_of(row, board.varied)
    kept = {name: value if isinstance(value, int | float | str) else str(value) for name, value in own.items()}
    return {f"{SETTING}{name}": value for name, value in kept.items()}


OF_COST = ("passes", "points_per_1000_passes", "front", "training_s", "trained_on")


def cost_columns(boards: Sequence[Board]) -> tuple[str, ...]:
    """The columns of costs; none where nobody asked for them."""
    return OF_COST if any(board.costed for board in boards) else ()


def tidy_cost(row: Row) -> dict[str, Any]:
    """What the row's training cost, in these columns; empty where it is unknown, or nobody asked."""
    return {} if row.cost is None else row.cost.document() | {"trained_on": "; ".join(row.cost.places)}


def tidy_rows(boards: Sequence[Board]) -> Iterator[dict[str, Any]]:
    """Every figure of every board as a mapping with the keys ``COLUMNS``; None where there is no such value.

    Then the keys of ``varied_columns`` and ``cost_columns``, and None in a row that has no such setting or cost.
    """
    none = dict.fromkeys((*varied_columns(boards), *cost_columns(boards)))
    for board in boards:
        common = (board.dataset, board.source, board.protocol, board.fingerprint, board.examples)
        for row in board.rows:
            place = (row.rank, row.label, row.arch_label, row.checkpoint)
            document = row_document(board, row)
            among, flags = document["ranked_among"], document["flags"]
            later = (
                *(row.train_seed, board.ranked_by, among["rows"], among["network"], among["checkpoint"]),
                *(document["epsilon"], document["norm"], None if flags is None else "".join(f["mark"] for f in flags)),
                *(document["dataset_fingerprint"], document["sample"]),
                " ".join(flag.check for flag in row.not_judged),
                *_failed(row.failed),
                " ".join(row.unchecked),
            )
            for attack, figure in document["metrics"].items():
                if figure is not None:
                    networks = count_of_networks(row, attack)
                    values = (*common, *place, attack, *_numbers(figure, networks), board.tied(row), *later)
                    yield dict(zip(COLUMNS, values, strict=True)) | none | varied_cells(board, row) | tidy_cost(row)


def count_of_networks(row: Row, attack: str) -> int | None:
    """How many networks a figure summarises: not all of a row's need have their verdicts yet."""
    figure, mean = row.metrics.get(attack), row.means.get(attack)
    if mean is not None or figure is None:
        return None if mean is None else mean.n
    if figure.train is not None:
        return figure.train.n
    return min(1, row.train_seeds) if row.networks and row.train_seeds is not None else row.train_seeds


def _failed(failed: FailedSeeds | None) -> Iterator[float | str | None]:
    """The last columns: how many training seeds failed, of how many, the rate's interval, which, and why."""
    if failed is None:
        yield from (None,) * 6
        return
    yield from (failed.count, failed.of, failed.interval.low, failed.interval.high)
    yield " ".join(str(seed.train_seed) for seed in failed.seeds)
    yield "; ".join(map(seed_text, failed.seeds))


def _numbers(figure: dict[str, Any], networks: int | None) -> Iterator[float | None]:
    """The columns between ``attack`` and ``tied`` from a figure's JSON."""
    train = figure.get("train", {})
    yield from (figure["median"], figure["std"], figure["n"], networks, train.get("mean"), train.get("std"))
    for interval in (figure.get("interval"), train.get("interval")):
        yield from (interval["low"], interval["high"]) if interval else (None, None)
