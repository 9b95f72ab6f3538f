"""What the commands that train or attack share: early checks, the work itself, notes, and failures."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.cli.options import Extent, Output, Places
    from harness.execution.summary import Summary
    from harness.planning.missing import Missing
    from harness.planning.run_job import RunJob
    from harness.plugin.dataset import Dataset


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
    """Train and attack what is missing, and show the progress."""
    from harness.cli.plan_text import note_device
    from harness.cli.progress import Watch
    from harness.execution.conduct import Conductor, default_workers
    from harness.store.store import Store

    workers = places.workers or default_workers(missing.runs[0].job)
    note_device(missing, workers, places, output)
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
