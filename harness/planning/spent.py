"""What trainings cost: the passes of a stored run, and the seconds that it took, up to one of its checkpoints."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.events import EpochRecord
from harness.leaderboard.board import MEASURED, Board, Row
from harness.leaderboard.cost_columns import priced
from harness.leaderboard.costs import Cost
from harness.runtime.provenance import every_place
from harness.store.records import RunRecord
from harness.store.store import Store


def epochs_up_to(run: RunRecord, checkpoint: str) -> Sequence[EpochRecord]:
    """The epochs of a run, from the first to the one after which the checkpoint was taken; of `best`, all of them.

    Which epoch is the best is known only at the end of the training. The attacks that chose it do not count.

    Raises:
        HarnessError: not every one of them is recorded, so the cost is unknown.
    """
    kept = run.checkpoint(checkpoint)
    assert kept is not None
    assert kept.epoch is not None
    last = int(run.training["epochs"]) if checkpoint == "best" else kept.epoch
    epochs = [epoch for epoch in run.epochs if epoch.epoch <= last]
    if [epoch.epoch for epoch in epochs] != list(range(1, last + 1)):
        raise HarnessError(f"run {run.id} has no record of some of its epochs, so its cost is unknown")
    return epochs


def passes_of_epochs(run: RunRecord, epochs: Sequence[EpochRecord], plugins: Sequence[Path] = ()) -> float:
    """Forward and backward passes for each image of the training set, in all of these epochs.

    Raises:
        HarnessError: a plugin is missing, is broken, or its code has changed since the run.
    """
    from harness.planning.stored_times import passes_of_run  # imported late: it needs torch

    trained_on = sum(epoch.images for epoch in epochs)
    return passes_of_run(run, tuple(plugins)).total * trained_on / run.dataset.train_examples


def place_text(place: Mapping[str, Any]) -> str:
    """Where seconds can be compared: ``cpu of HOST, threads: 2``."""
    device = str(place.get("device"))
    threads = f", threads: {place['threads']}" if device == "cpu" and "threads" in place else ""
    return f"{device} of {place.get('host')}{threads}"


def with_costs(store: Store, board: Board, plugins: Sequence[Path] = ()) -> Board:
    """The board whose rows have their costs: on a measured board, of the rows of runs.

    The front is that of all rows that compete, shown or not. On a board with a line for each training seed, passes and
    seconds are those of the one network, and the front is its row's.
    """
    if board.source != MEASURED:
        return board
    runs = {run.id: run for run in store.runs_of({number for row in board.ranked for number in row.runs})}
    ranked = priced([_with_cost(row, runs, plugins) for row in board.ranked], board.ranked_by)
    whole = {(number, row.checkpoint): row for row in ranked for number in row.runs}

    def shown(row: Row) -> Row:
        if not row.runs:
            return row
        found = whole[row.runs[0], row.checkpoint]
        if row.train_seed is None or found.cost is None:
            return replace(row, cost=found.cost)
        (own,) = priced([_with_cost(row, runs, plugins)], board.ranked_by)
        return replace(own, cost=replace(own.cost, front=found.cost.front) if own.cost is not None else None)

    return replace(board, rows=tuple(map(shown, board.rows)), ranking=tuple(ranked), costed=True)


def _with_cost(row: Row, runs: Mapping[int, RunRecord], plugins: Sequence[Path]) -> Row:
    """The row with the mean cost of its networks; without a cost if no run is behind it."""
    trained = [runs[number] for number in row.runs]
    if not trained:
        return row
    places = tuple(dict.fromkeys(place_text(place) for run in trained for place in every_place(run.provenance)))
    try:
        held = [(run, epochs_up_to(run, row.checkpoint)) for run in trained]
    except HarnessError as error:
        return replace(row, cost=Cost(None, None, places), notes=(*row.notes, str(error)))
    seconds = statistics.fmean(sum(epoch.duration_s for epoch in epochs) for _, epochs in held)
    try:
        passes = statistics.fmean(passes_of_epochs(run, epochs, plugins) for run, epochs in held)
    except HarnessError as error:
        return replace(row, cost=Cost(None, seconds, places), notes=(*row.notes, f"its passes are unknown: {error}"))
    return replace(row, cost=Cost(passes, seconds, places))
