"""What the commands that train or attack share: where they work, and the names of failed runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from harness.api.workplace import Workplace
from harness.cli.console import print_lines
from harness.cli.options import comma_separated
from harness.locations import without_secrets_in

if TYPE_CHECKING:
    from harness.cli.places import Places
    from harness.execution.summary import Summary
    from harness.trackers.tracker import Tracker


def workplace(places: Places) -> Workplace:
    """Where a command works."""
    return Workplace(
        db=places.db,
        runs_dir=places.runs_dir,
        workers=places.workers,
        device=None if places.devices else places.device,
        devices=comma_separated("--devices", places.devices),
        per_device=places.per_device,
        time_limit=places.time_limit,
        executor=places.executor,
        ray_address=places.ray_address,
        allow_mixed=places.allow_mixed,
    )


def followers(places: Places) -> tuple[Tracker, ...]:
    """The trackers that are to follow a command.

    Raises:
        HarnessError: there is no tracker of a name, or it cannot work here.
    """
    from harness.trackers.named import trackers_of

    return trackers_of(places.trackers or (), places.runs_dir)


def end(summaries: Iterable[Summary]) -> None:
    """Name the runs that failed, and what was given up, and end with exit code 1 if there is any."""
    lines = [line for summary in summaries for line in summary.shortfalls()]
    print_lines([f"harness: {without_secrets_in(line)}" for line in lines], error=True)
    if lines:
        raise typer.Exit(1)
