"""``harness runs --watch``: follows the store while other processes work, on this machine or on others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from harness.cli.console import moving_lines, print_json_line, print_line, print_lines
from harness.cli.sources import tell_sources
from harness.cli.system_errors import end_output
from harness.cli.watch_text import new_failures, news, screen_lines, total_lines
from harness.store.database import is_there, locate, shown, sqlite_file
from harness.store.seen import RunFilter, UnfinishedEvaluations, WorkSeen
from harness.store.store import Store

EVERY_S = 2.0
BEGINS_S = 60.0  # for so long a watcher waits for work to begin: a cluster takes its time
QUIET_LOOKS = 3  # in a row without work: between two items a command may hold none for a moment


def watch_runs(wanted: RunFilter, db: str | None, *, as_json: bool) -> None:
    """Show what is at work until nothing is, then the totals.

    Raises:
        KeyboardInterrupt: Ctrl-C; the totals are printed all the same.
        StoreError: the database cannot be read.
    """
    tell_sources()
    screen = None if as_json else moving_lines()
    first: WorkSeen | None = None
    last: WorkSeen | None = None
    try:
        with screen or contextlib.nullcontext():
            for seen in _looks(wanted, db):
                if screen is not None:
                    screen.show(screen_lines(seen, _now(), *screen.size))
                elif not as_json:
                    print_lines(f"{_now():%Y-%m-%d %H:%M:%S} UTC {line}" for line in news(last, seen))
                elif last is None or seen.document() != last.document():
                    print_json_line({"utc": _now().isoformat(timespec="seconds"), **seen.document()})
                end_output()  # now, and not when a buffer is full
                first, last = first or seen, seen
    except KeyboardInterrupt:
        print_line("the watch ends; what is at work goes on", error=True)
        raise
    finally:
        if first is not None and last is not None and not as_json:
            print_lines([*(new_failures(first, last) if screen is not None else []), *total_lines(last)])


def _looks(wanted: RunFilter, db: str | None) -> Iterator[WorkSeen]:
    """What is seen every two seconds, until nothing has been at work for some looks."""
    begun, quiet, until_s = False, 0, 0.0
    for seen in _seen(wanted, db):
        yield seen
        begun |= not seen.idle
        quiet = quiet + 1 if seen.idle else 0
        if not until_s:
            until_s = time.monotonic() + BEGINS_S
            if not begun:
                print_line(f"nothing is at work; waiting up to {BEGINS_S:.0f} s for work to begin", error=True)
        if quiet >= QUIET_LOOKS and (begun or time.monotonic() >= until_s):
            return
        time.sleep(EVERY_S)


def _seen(wanted: RunFilter, db: str | None) -> Iterator[WorkSeen]:
    """One look after the other. A database that is not there is waited for; so is one that was moved away."""
    url, told = locate(db), False
    file = sqlite_file(url)
    while True:
        which = _file_number(file)
        store = Store.read(db) if is_there(url) else None
        if store is not None and store.place is not None:  # else its first writer has not made the tables yet
            told, unfinished = False, UnfinishedEvaluations()
            with contextlib.closing(store):
                while _file_number(file) == which:
                    yield store.work_seen(wanted, unfinished)
        elif not told:
            told = True
            print_line(f"waiting for the database {shown(url)}, which is not there yet; Ctrl-C ends", error=True)
        time.sleep(EVERY_S)


def _file_number(file: Path | None) -> tuple[int, int] | None:
    """What is another value where another file has taken the place; None on a server, or if there is none."""
    try:
        status = file.stat() if file is not None else None
    except OSError:
        return None
    return None if status is None else (status.st_dev, status.st_ino)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
