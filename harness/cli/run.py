"""``harness run``: train with some methods, attack what was trained, show the figures."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import AsJson, Db, Plugins
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.execution.conduct import Summary
    from harness.job import Job
    from harness.plan import Plan
    from harness.store.store import Store


def run(
    methods: Annotated[list[str], typer.Argument(metavar="METHOD...", help="Training methods, by name.")],
    arch: Annotated[str, typer.Option(help="The network.")] = "resnet18",
    dataset: Annotated[str, typer.Option(help="The data set: a name, or folder:PATH.")] = "cifar10",
    wrap: Annotated[
        list[str] | None, typer.Option(help="A wrapper of the update, such as awp or ema; may be repeated.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(metavar="N", help="For folder:PATH: bring images to NxN.")] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Attack seeds of the evaluation.")] = 5,
    train_seeds: Annotated[int, typer.Option(metavar="M", help="Networks to train, from different seeds.")] = 1,
    protocol: Annotated[
        str | None, typer.Option(help="The protocol: a name, or a TOML file. [default: the data set's]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Short for --set train.epochs=N.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the protocol, a method, a network."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, or cuda:N. [default: cuda where there is one]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, tf32, or bfloat16. Short for --set train.precision=...")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Evaluate the first N test images; another evaluation set.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over, and keep the old.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, and its cost.")] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes side by side. [default: one a core; 1 on CUDA]")
    ] = None,
    runs_dir: Annotated[Path, typer.Option(help="Where weights, states, and logs are kept.")] = Path("runs"),
    data_dir: Annotated[Path, typer.Option(help="Where downloaded data sets are kept.")] = Path("data"),
    db: Db = None,
    as_json: AsJson = False,
    plugin: Plugins = None,
) -> None:
    """Train with METHOD..., evaluate under the protocol, and show the figures. What is done already is not repeated."""
    started = time.perf_counter()
    from harness.store.store import Store

    Store.read(db).close()  # refuses a file that is no store, before anything else is done
    _check_writable(runs_dir)
    if workers is not None and workers < 1:
        raise HarnessError(f"--workers {workers} is refused: it must be 1 or more")

    from harness.execution.conduct import Conductor, default_workers
    from harness.job import Request, resolve
    from harness.plan import make_plan

    request = Request(
        methods=tuple(methods),
        wrap=tuple(wrap or ()),
        arch=arch,
        dataset=dataset,
        image_size=image_size,
        protocol=protocol,
        epochs=epochs,
        precision=precision,
        values=tuple(values or ()),
        seeds=seeds,
        train_seeds=train_seeds,
        limit=limit,
        device=device,
        data_dir=data_dir,
        plugins=tuple(plugin or ()),
    )
    jobs = resolve(request)
    count = workers or default_workers(jobs[0])
    store = Store.read(db)
    plan = make_plan(jobs, store, fresh=fresh)
    store.close()
    if dry_run:
        _print_plan(plan, jobs, count, as_json)
        return
    _tell_device(jobs[0], plan, count, asked=device)

    from harness.cli.progress import Watch

    store = Store.write(db)
    with Watch() as watch:
        summary = Conductor(jobs, store, runs_dir, watch, count).conduct(fresh=fresh)
    _print_results(store, jobs, summary, as_json)
    store.close()
    _print_times(summary, time.perf_counter() - started)
    for number, reason in summary.failures.items():
        print(f"harness: run {number} failed: {reason}", file=sys.stderr)
    if summary.failures:
        raise typer.Exit(1)


def _check_writable(directory: Path) -> None:
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise HarnessError(f"--runs-dir {directory} cannot be made: {existing} is not a directory; give another one")
    if not os.access(existing, os.W_OK):
        raise HarnessError(f"--runs-dir {directory} cannot be written; give another one")


def _tell_device(job: Job, plan: Plan, workers: int, asked: str | None) -> None:
    if job.device.type == "cpu" and asked is None and (plan.to_train or plan.evaluations):
        from harness.cli.progress import duration

        estimate = (
            f"not timed yet on this machine: {job.specs[0].network}"
            if plan.seconds is None
            else f"about {duration(plan.seconds / workers)}"
        )
        print(f"no CUDA device: going on on the CPU ({estimate})", file=sys.stderr)


def _plan_document(plan: Plan, workers: int) -> dict[str, Any]:
    return {
        "networks": [
            {"run": gap.spec.label, "attempt": gap.attempt, "epochs_done": gap.epochs_done, "trained": gap.trained}
            for gap in plan.runs
        ],
        "evaluations": [
            {"run": gap.spec.label, "checkpoint": gap.checkpoint, "attack": gap.attack, "seed": gap.seed}
            | {"blocks": len(gap.starts), "images": gap.images}
            for gap in plan.evaluations
        ],
        "evaluations_done": plan.evaluations_done,
        "training_passes": {"forward": plan.training.forward, "backward": plan.training.backward},
        "evaluation_passes_at_most": {"forward": plan.evaluation.forward, "backward": plan.evaluation.backward},
        "estimated_s": None if plan.seconds is None else plan.seconds / workers,
        "workers": workers,
    }


def _print_plan(plan: Plan, jobs: list[Job], workers: int, as_json: bool) -> None:
    from harness.cli.progress import duration

    document = _plan_document(plan, workers)
    if as_json:
        print(json.dumps(document, indent=2))
        return
    print(f"device: {jobs[0].device}, {workers} worker(s); nothing is written")
    print(f"networks: {len(plan.to_train)} to train, {sum(gap.trained for gap in plan.runs)} trained already")
    for gap in plan.runs:
        state = "trained" if gap.trained else f"{gap.epochs_done}/{gap.spec.training['epochs']} epochs done"
        if gap.failed and gap.record is not None:
            state = f"failed before, {gap.record.failure}; --fresh starts it over"
        print(f"  {gap.spec.label} (attempt {gap.attempt}): {state}")
    print(f"evaluations: {len(plan.evaluations)} to do, {plan.evaluations_done} done already")
    counts: dict[tuple[str, str], int] = {}
    for evaluation in plan.evaluations:
        key = (f"{evaluation.spec.label} {evaluation.checkpoint}", evaluation.attack)
        counts[key] = counts.get(key, 0) + 1
    for (place, attack), number in counts.items():
        print(f"  {place}: {attack}, {number} seed(s)")
    print(f"training: {plan.training.forward:.3g} forward and {plan.training.backward:.3g} backward passes of an image")
    print(
        f"evaluation: at most {plan.evaluation.forward:.3g} forward and {plan.evaluation.backward:.3g} backward passes"
    )
    if plan.seconds is None:
        print(f"time: unknown; this machine has not timed {jobs[0].specs[0].network} on such images yet")
    else:
        print(f"time: about {duration(plan.seconds / workers)}")


def _print_results(store: Store, jobs: list[Job], summary: Summary, as_json: bool) -> None:
    """The rows of what the command was about, under its protocol and evaluation set."""
    from harness.leaderboard.document import row_documents
    from harness.leaderboard.ranking import Selection, boards

    selection = Selection(protocol=jobs[0].protocol.fingerprint, runs=frozenset(summary.run_ids))
    chosen = [board for board in boards(store, selection) if board.examples == jobs[0].examples]
    if as_json:
        rows = list(row_documents(chosen))
        # one method at one checkpoint is one row; more of them are told as the leaderboard tells them
        print(json.dumps(rows[0] if len(rows) == 1 else {"rows": rows}, indent=2))
        return
    from harness.leaderboard.table import print_table

    print_table(chosen)


def _print_times(summary: Summary, total_s: float) -> None:
    shares = {name: seconds for name, seconds in summary.shares().items() if seconds > 0}
    rest = total_s - sum(shares.values())
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in (shares | {"the rest": rest}).items())
    print(f"time: {told}; {total_s:.1f} s in all", file=sys.stderr)
