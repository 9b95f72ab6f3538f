"""``harness run``: train with some methods, attack what was trained, show the figures."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import print_boards
from harness.cli.options import (
    AsJson,
    ChannelCount,
    Checks,
    ClassOrder,
    DataDir,
    Db,
    Device,
    DryRun,
    Epochs,
    Fresh,
    ImageSize,
    Limit,
    Plugins,
    ProtocolName,
    RunsDir,
    Seeds,
    SetValues,
    TrainSeeds,
    Workers,
)
from harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from harness.execution.summary import Summary
    from harness.leaderboard.board import Board
    from harness.planning.run_request import RunJob
    from harness.plugin.dataset import Dataset
    from harness.store.records import EvaluationRecord
    from harness.store.store import Store


def run(
    methods: Annotated[list[str], typer.Argument(metavar="METHOD...", help="Training methods, by name.")],
    arch: Annotated[str, typer.Option(help="The network.")] = "resnet18",
    dataset: Annotated[str, typer.Option(help="The data set: a name, or folder:PATH.")] = "cifar10",
    wrap: Annotated[
        list[str] | None, typer.Option(help="A wrapper of the update, such as awp or ema; may be repeated.")
    ] = None,
    image_size: ImageSize = None,
    class_order: ClassOrder = None,
    channels: ChannelCount = None,
    seeds: Seeds = 5,
    train_seeds: TrainSeeds = 1,
    protocol: ProtocolName = None,
    epochs: Epochs = None,
    values: SetValues = None,
    device: Device = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, tf32, or bfloat16. Short for --set train.precision=...")
    ] = None,
    limit: Limit = None,
    checks: Checks = True,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    workers: Workers = None,
    runs_dir: RunsDir = Path("runs"),
    data_dir: DataDir = Path("data"),
    db: Db = None,
    as_json: AsJson = False,
    plugin: Plugins = None,
) -> None:
    """Train with METHOD..., evaluate under the protocol, and show the figures. What is done already is not repeated."""
    started = time.perf_counter()
    from harness.store.store import Store

    check_places(db, runs_dir, workers, writing=not dry_run)

    from harness.cli.plan_text import plan_document, plan_lines, tell_device
    from harness.execution.conduct import Conductor, default_workers
    from harness.planning.plan import make_plan
    from harness.planning.run_request import RunRequest, resolve_run
    from harness.targets.target import quiet

    request = RunRequest(
        methods=tuple(methods),
        wrap=tuple(wrap or ()),
        network=arch,
        dataset=dataset,
        image_size=image_size,
        class_order=class_order,
        channels=channels,
        protocol=protocol,
        epochs=epochs,
        precision=precision,
        values=tuple(values or ()),
        seeds=seeds,
        train_seeds=train_seeds,
        limit=limit,
        checks=checks,
        device=device,
        data_dir=data_dir,
        plugins=tuple(plugin or ()),
    )
    with quiet():
        jobs = resolve_run(request, count_only=dry_run)
    tell_notes(jobs[0].dataset)
    count = workers or default_workers(jobs[0])
    store = Store.read(db)
    plan = make_plan(jobs, store, fresh=fresh)
    store.close()
    if plan.refused and len(plan.refused) == len(plan.runs):  # nothing that could go on
        raise plan.refused[0].refusal or AssertionError("a refusal has a reason")
    if dry_run:
        document = plan_document(plan, jobs, count)
        print(json.dumps(document, indent=2) if as_json else "\n".join(plan_lines(plan, jobs, count)))
        return
    tell_device(jobs[0], plan, count, asked=device)

    from harness.cli.progress import Watch

    store = Store.write(db)
    with Watch() as watch:
        summary = Conductor(jobs, store, runs_dir, watch, count).conduct(fresh=fresh)
    _print_results(store, jobs, summary, as_json)
    store.close()
    print_times(summary, time.perf_counter() - started)
    for number, reason in summary.failures.items():
        print(f"harness: run {number} failed: {reason}", file=sys.stderr)
    if summary.failures:
        raise typer.Exit(1)


def check_places(db: str | None, runs_dir: Path, workers: int | None, *, writing: bool) -> None:
    """Refuse what would fail late, before anything else is done: a file that is no store, places that take nothing."""
    from harness.files import require_writable
    from harness.store import database
    from harness.store.store import Store

    Store.read(db).close()
    if workers is not None and workers < 1:
        raise HarnessError(f"--workers {workers} is refused: it must be 1 or more")
    if not writing:
        return
    database.check_writable(database.locate(db))
    try:
        require_writable(runs_dir)
    except OSError as error:
        raise HarnessError(f"--runs-dir {runs_dir} cannot be written: {error}; give another one") from None


def tell_notes(dataset: Dataset) -> None:
    """Say on standard error what the user should know of the data set."""
    for note in dataset.notes:
        print(f"{dataset.name}: {note}", file=sys.stderr)


def _print_results(store: Store, jobs: list[RunJob], summary: Summary, as_json: bool) -> None:
    """The rows of what the command was about, under its protocol and evaluation set."""
    from harness.cli.origin import origin
    from harness.leaderboard.board import Selection
    from harness.leaderboard.ranking import boards
    from harness.leaderboard.render_json import row_documents

    selection = Selection(protocol=jobs[0].protocol.fingerprint, runs=frozenset(summary.run_ids))
    chosen = [board for board in boards(store, selection) if board.images == jobs[0].images]
    told = origin(_evaluations(chosen, summary.run_ids), summary.attacked)
    if told is not None:
        print(told, file=sys.stderr)
    if as_json:
        rows = list(row_documents(chosen))
        # one method at one checkpoint is one row; more of them are told as the leaderboard tells them
        print(json.dumps(rows[0] if len(rows) == 1 else {"rows": rows}, indent=2))
        return
    print_boards(chosen)


def _evaluations(boards: Iterable[Board], runs: Collection[int]) -> Iterator[EvaluationRecord]:
    """The evaluations behind the figures of some runs."""
    for board in boards:
        for network in (network for row in board.rows for network in row.networks if network.number in runs):
            for attack in board.attacks:
                yield from board.column(attack).evaluations(network)[attack]


def print_times(summary: Summary, total_s: float) -> None:
    """Say on standard error where the time went."""
    if summary.unexamined:
        print(
            f"{summary.unexamined} checkpoint(s) could not be examined by the newest checks, since their weights are"
            " not here; what earlier checks found is shown",
            file=sys.stderr,
        )
    shares = {name: seconds for name, seconds in summary.shares().items() if seconds > 0}
    rest = total_s - sum(shares.values())
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in (shares | {"the rest": rest}).items())
    print(f"time: {told}; {total_s:.1f} s in all", file=sys.stderr)
