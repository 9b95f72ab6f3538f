"""What the commands that train or attack share: early checks, the work, notes, failures, the origin of figures."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import typer

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.cli.options import Extent, Output, Places
    from harness.execution.summary import Summary
    from harness.planning.missing import Missing
    from harness.planning.run_job import RunJob
    from harness.plugin.dataset import Dataset
    from harness.store.records import EvaluationRecord
    from harness.store.store import Store


def check_places(places: Places, *, writing: bool) -> None:
    """Refuse at once what would fail late: a file that is no store, or a folder that cannot be written."""
    from harness.files import require_writable
    from harness.store import database
    from harness.store.store import Store

    Store.read(places.db).close()
    if places.workers is not None and places.workers < 1:
        raise HarnessError(f"--workers {places.workers} is refused: it must be 1 or more")
    if not writing:
        return
    database.check_writable(database.locate(places.db))
    try:
        require_writable(places.runs_dir)
    except OSError as error:
        raise HarnessError(f"--runs-dir {places.runs_dir} cannot be written: {error}; give another one") from None


def missing_of(jobs: Sequence[RunJob], places: Places, extent: Extent) -> Missing:
    """What the store lacks of some jobs."""
    from harness.planning.missing import find_missing
    from harness.store.store import Store

    store = Store.read(places.db)
    missing = find_missing(jobs, store, fresh=extent.fresh)
    store.close()
    return missing


def conduct(missing: Missing, places: Places, output: Output) -> Summary:
    """Train and attack what is missing, and show the progress.

    If the user did not choose the CPU, a note says that it is used, and for how long.
    """
    from harness.cli.progress import Watch
    from harness.cli.progress_text import duration
    from harness.execution.conduct import Conductor, default_workers
    from harness.planning.cost import estimate
    from harness.store.store import Store

    job, network = missing.runs[0].job, missing.runs[0].spec.network
    workers = places.workers or default_workers(job)
    if job.device.type == "cpu" and places.device is None and not missing.idle:
        seconds = estimate(missing).wall_s(workers)
        known = f"not timed yet on this machine: {network}" if seconds is None else f"about {duration(seconds)}"
        output.note(f"no CUDA device: working on the CPU ({known})")
    store = Store.write(places.db)
    with Watch(output) as watch:
        summary = Conductor(missing, store, places.runs_dir, watch, workers).conduct()
    store.close()
    return summary


def note_dataset(dataset: Dataset, output: Output) -> None:
    """Print the data set's notes for the user."""
    for text in dataset.notes:
        output.note(f"{dataset.name}: {text}")


def note_times(summary: Summary, total_s: float, output: Output) -> None:
    """Say how many checkpoints could not be examined, and where the time went."""
    if summary.unexamined:
        output.note(
            f"{summary.unexamined} checkpoint(s) could not be examined by the newest checks, since their weights are"
            " not here; what earlier checks found is shown"
        )
    shares = {name: seconds for name, seconds in summary.shares().items() if seconds > 0}
    shares["the rest"] = total_s - sum(shares.values())
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in shares.items())
    output.note(f"time: {parts}; {total_s:.1f} s in all")


def end(summaries: Iterable[Summary]) -> None:
    """Name the runs that failed, and end with exit code 1 if there are any."""
    failures = {number: reason for summary in summaries for number, reason in summary.failures.items()}
    for number, reason in failures.items():
        print(f"harness: run {number} failed: {reason}", file=sys.stderr)
    if failures:
        raise typer.Exit(1)


def origin(evaluations: Iterable[EvaluationRecord], attacked: Collection[int]) -> str | None:
    """Say which figures come from the store, as in ``from the store, 2026-11-25``; None if all were measured now.

    Args:
        evaluations: what the figures are computed from.
        attacked: numbers of the evaluations that this command worked on.
    """
    shown = list(evaluations)
    stored = [e for e in shown if e.id not in attacked]
    if not stored:
        return None
    dates = sorted({f"{e.created_utc:%Y-%m-%d}" for e in stored if e.created_utc is not None})
    when = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "at an unknown date"
    if len(stored) == len(shown):
        return f"from the store, {when}; nothing was attacked (--fresh begins again)"
    parts = ", ".join(dict.fromkeys(e.attack for e in stored))
    return f"from the store, {when}: {len(stored)} of {len(shown)} evaluations ({parts}); the others were attacked now"


def repeated(evaluations: Iterable[EvaluationRecord], store: Store) -> str | None:
    """Say whether repeated attacks gave the same verdicts as the attempt before; None if there was none.

    The seed decides an attack's random numbers, so the same model gives the same verdicts. If they differ, the model
    draws numbers itself, the arithmetic differs, or the stored verdicts belong to something else.
    """
    changed = []
    again = [(e, previous) for e in evaluations if (previous := store.previous_attempt(e.id)) is not None]
    for evaluation, previous in again:
        now, before = store.verdicts(evaluation.id), store.verdicts(previous)
        differing = sum(a != b for a, b in zip(now, before, strict=False))  # the earlier attempt may have been stopped
        if differing:
            changed.append(f"{evaluation.attack} seed {evaluation.seed} on {differing} of {len(before)} images")
    if changed:
        return f"attacked again: the verdicts differ from those that the store had: {', '.join(changed)}"
    return f"attacked again: {len(again)} evaluations, every verdict as the store had it" if again else None
