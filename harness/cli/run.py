"""``harness run``: train with some methods, attack what was trained, show the figures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from harness.cli import completion
from harness.cli.common import check_places, conduct, end, missing_of, note_dataset, note_times, origin
from harness.cli.console import print_boards, print_json
from harness.cli.grouped import grouped, request_of
from harness.cli.options import Extent, ImageFolder, Output, Places, Rules, Training, argument, comma_separated, what

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from harness.execution.summary import Summary
    from harness.leaderboard.board import Board
    from harness.planning.run_job import RunJob
    from harness.store.records import EvaluationRecord


@grouped
def run(
    methods: Annotated[
        list[str], argument("METHOD", "Training methods: see `harness list methods`.", complete=completion.methods)
    ],
    *,
    network: str = what(
        "--arch NAME", "The network: see `harness list networks`.", "resnet18", complete=completion.networks
    ),
    dataset: str = what(
        "--dataset NAME", "The data set: a name, or folder:PATH.", "cifar10", complete=completion.datasets
    ),
    wrap: list[str] | None = what(
        "--wrap NAME",
        "Change every training update by a wrapper such as awp or ema; may be repeated.",
        complete=completion.wrappers,
    ),
    folder: ImageFolder,
    rules: Rules,
    training: Training,
    extent: Extent,
    places: Places,
    output: Output,
) -> None:
    """Train a network with each METHOD, attack it, and show its accuracies. Stored work is not repeated."""
    started = time.perf_counter()
    check_places(places, writing=not extent.dry_run)

    from harness.cli.plan_text import print_plan
    from harness.execution.conduct import default_workers
    from harness.planning.request import RunRequest
    from harness.planning.run_job import resolve_run
    from harness.targets.target import quiet

    groups, attacks = (folder, rules, training, extent, places), comma_separated("--attacks", training.attacks)
    request = request_of(
        RunRequest, *groups, methods=methods, network=network, dataset=dataset, wrap=wrap, attacks=attacks
    )
    with quiet():
        jobs = resolve_run(request, count_only=extent.dry_run)
    note_dataset(jobs[0].dataset, output)
    missing = missing_of(jobs, places, extent)
    if missing.refused and len(missing.refused) == len(missing.runs):  # no run can go on
        raise missing.refused[0].refusal or AssertionError("a refusal has a reason")
    if extent.dry_run:
        print_plan(missing, places.workers or default_workers(jobs[0]), output.as_json)
        return
    summary = conduct(missing, places, output)
    _print_results(jobs, summary, places, output)
    note_times(summary, time.perf_counter() - started, output)
    end([summary])


def _print_results(jobs: list[RunJob], summary: Summary, places: Places, output: Output) -> None:
    """Print the rows of this command's runs, under its protocol and on its test images."""
    from harness.leaderboard.board import Selection
    from harness.leaderboard.ranking import boards
    from harness.leaderboard.render_json import row_documents
    from harness.store.store import Store

    store = Store.read(places.db)
    selection = Selection(protocol=jobs[0].protocol.fingerprint, runs=frozenset(summary.run_ids))
    chosen = [board for board in boards(store, selection) if board.images == jobs[0].images]
    store.close()
    source = origin(_evaluations(chosen, summary.run_ids), summary.attacked)
    if source is not None:
        output.note(source)
    if output.as_json:
        rows = list(row_documents(chosen))
        # a single row is printed as one object
        print_json(rows[0] if len(rows) == 1 else {"rows": rows})
    else:
        print_boards(chosen)


def _evaluations(boards: Iterable[Board], runs: Collection[int]) -> Iterator[EvaluationRecord]:
    """The evaluations behind the figures of some runs."""
    for board in boards:
        for network in (network for row in board.rows for network in row.networks if network.number in runs):
            for attack in board.attacks:
                yield from board.column(attack).evaluations(network)[attack]
