"""Has trackers hear what the progress display hears."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from harness.api.progress import Watch
from harness.api.workplace import Note
from harness.events import Event, Report
from harness.trackers.tracker import Tracker
from harness.trackers.tracking import Tracking


@contextlib.contextmanager
def tracked(watch: Watch, trackers: Sequence[Tracker], failed: Note = lambda _text: None) -> Iterator[Report]:
    """A listener that passes each event on to the watch and to the trackers, which are closed at the end.

    Args:
        failed: receives the failure of each tracker, besides the watch, which shows it.
    """

    def alert(text: str) -> None:
        watch.alert(text)
        failed(text)

    with Tracking(trackers, watch.note, alert) as tracking:

        def listen(event: Event) -> None:
            watch(event)
            tracking(event)

        yield listen
