"""The progress of a command as lines: what is at work, for how long, and the time left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.errors import visible

if TYPE_CHECKING:
    from harness.execution.outlook import Left, Outlook, Running

NARROWEST = 8  # characters of a label


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def clock(seconds: float) -> str:
    """A length of time as a clock shows it: ``0:42``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cut_label(label: str, width: int) -> str:
    """A label in at most so many characters: its beginning, and its end, which has the seed."""
    if len(label) <= width:
        return label
    end = (width - 1) // 2
    return f"{label[: width - 1 - end]}…{label[len(label) - end :]}"


def labelled(label: str, text: str, width: int) -> str:
    """A label and a text in one line; a long label is cut, the text never is."""
    return f"{cut_label(visible(label), max(NARROWEST, width - len(text) - 2))}: {text}"


def first_lines(lines: Sequence[str], count: int, room: int) -> list[str]:
    """As many lines as there is room for; where some are left out, the last says how many.

    Args:
        lines: the first of so many as ``count``.
    """
    if count <= room:
        return list(lines)
    return [*lines[: room - 1], f"and {count - room + 1} more"] if room > 0 else []


def left_text(left: Left | None) -> str:
    """The time left in words."""
    if left is None:
        return "time left not known yet"
    if left.late:  # an item takes longer than expected
        return f"{duration(left.seconds)} or more left"
    return f"{'at most' if left.at_most else 'about'} {duration(left.seconds)} left"


def status_lines(outlook: Outlook, now_s: float, started_s: float, width: int, height: int) -> Iterator[str]:
    """The state of all work in one line, then one line for each item that is at work, as far as there is room.

    Args:
        height: the most lines; those at work for the longest are shown.
    """
    so_far, failed = clock(now_s - started_s), f", {outlook.failed} failed" if outlook.failed else ""
    yield f"{so_far} so far, {outlook.done} of {outlook.total} parts done{failed}, {left_text(outlook.left(now_s))}"
    running, room = outlook.running(), max(0, height - 1)
    lines = [
        labelled(one.item.label, f"{_now(one)}, for {clock(now_s - one.since_s)}", width - 2) for one in running[:room]
    ]
    yield from (f"  {line}" for line in first_lines(lines, len(running), room))


def _now(running: Running) -> str:
    """What a worker is doing."""
    told = running.told
    if told is None:
        return visible(running.item.what)
    return f"epoch {told.epoch}/{told.epochs}, batch {told.batch}/{told.batches}, loss {told.loss:.4g}"
