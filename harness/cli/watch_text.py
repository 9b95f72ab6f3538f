"""What ``harness runs --watch`` shows: one screen on a terminal, elsewhere a line for what changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING

from harness.api.progress_text import NARROWEST, first_lines, labelled
from harness.errors import brief, legible, visible

if TYPE_CHECKING:
    from harness.store.seen import FailedRun, ItemSeen, WorkSeen

_FEWEST = 3  # lines of failures that a screen has, if there are so many


def total_lines(seen: WorkSeen) -> list[str]:
    """The totals: runs by state; evaluations, what is at work, and the epochs of the trainings at work."""
    states = [f"{count} {state}" for state, count in seen.runs.items() if count]
    parts = [f"whole evaluations: {seen.whole} of {seen.begun}", f"at work: {_items(len(seen.items))}"]
    trained = [item.training for item in seen.items if item.training is not None and item.training.of_epochs]
    if trained:
        done, wanted = sum(run.epochs for run in trained), sum(run.of_epochs or 0 for run in trained)
        parts.append(f"epochs: {done} of {wanted}")
    return [f"runs: {', '.join(states) or 'none'}", "; ".join(parts)]


def screen_lines(seen: WorkSeen, at_utc: datetime, width: int, height: int) -> list[str]:
    """All that fits so many lines: the totals, a line for each item at work, and failures, the newest first.

    Lines that are left out are counted. Where even the totals do not fit, the screen has what comes first.
    """
    first, second = total_lines(seen)
    workers = {item.held.worker for item in seen.items}
    lines = [*wrap(f"{at_utc:%H:%M:%S} UTC, {first}", width), *wrap(second, width)]
    if len(workers) == 1:  # else each line has it
        lines.append(f"by {_who(seen.items[0])}")
    room = height - len(lines)
    failures = min(len(seen.failures), max(min(_FEWEST, room // 4), room - len(seen.items) - 1))
    items = [_item_line(item, at_utc, width - 2, whose=len(workers) > 1) for item in seen.items[: max(0, room)]]
    failed, count = [failure_line(one, width - 2) for one in seen.failures[: failures + 1]], len(seen.failures)
    below = first_lines(failed, count, min(room - 1, failures + (failures < count)) if count else 0)
    lines += (f"  {line}" for line in first_lines(items, len(seen.items), room - len(below) - bool(below)))
    if below:
        lines.append(f"failed or lost: {count}, the newest first")
    return [_cut(line, width) for line in [*lines, *(f"  {line}" for line in below)][: max(1, height)]]


def failure_line(failed: FailedRun, width: int | None = None) -> str:
    """A run that failed or is lost, with the reason, which is cut at a width."""
    reason = brief(visible(failed.state.reason or "no reason is stored"))
    line = f"run {failed.id} {failed.state.state}: {legible(failed.label)}: {reason}"
    if width is None or len(line) <= width:
        return line
    head = f"run {failed.id} {failed.state.state}: "
    label = labelled(legible(failed.label), "", max(NARROWEST, width // 3))
    return _cut(f"{head}{label.rstrip()} {reason}", width)


def news(before: WorkSeen | None, seen: WorkSeen) -> Iterator[str]:
    """A line for each run that failed or was lost since the look before, and one with the totals if they changed.

    At the first look, what had failed before is only counted.
    """
    yield from new_failures(seen if before is None else before, seen)
    lines = total_lines(seen)
    if before is None or lines != total_lines(before):
        yield "; ".join(lines)


def new_failures(before: WorkSeen, seen: WorkSeen) -> list[str]:
    """A line for each run that failed or was lost between two looks, the oldest first."""
    known = {(one.id, one.state.state) for one in before.failures}
    return [failure_line(one) for one in reversed(seen.failures) if (one.id, one.state.state) not in known]


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


def _item_line(item: ItemSeen, at_utc: datetime, width: int, *, whose: bool) -> str:
    since = item.held.since_utc
    day = "" if since.date() == at_utc.date() else f"{since:%m-%d} "
    parts = [_what(item), f"since {day}{since:%H:%M:%S}", *([_who(item)] if whose else [])]
    name = legible(item.label or item.held.item) + (f" {legible(item.checkpoint)}" if item.checkpoint else "")
    return labelled(name, ", ".join(filter(None, parts)), width)


def _what(item: ItemSeen) -> str:
    """What is done with the model that the line names; empty where the store knows no more than the item."""
    if item.training is not None:
        wanted = item.training.of_epochs
        return f"epoch {item.training.epochs}/{'?' if wanted is None else wanted}"
    if (own := item.evaluation) is not None:
        return f"{legible(own.attack)}, seed {own.seed}, {own.done}/{own.examples} images"
    return "checks of rigour" if item.label is not None else ""


def _who(item: ItemSeen) -> str:
    worker = item.held.worker
    return visible(worker.title + (f" ({worker.user})" if worker.user else ""))


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: max(0, width - 1)]}…"
