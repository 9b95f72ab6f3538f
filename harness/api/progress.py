"""Live progress on standard error: lines that move on a terminal, plain lines elsewhere.

A clock of its own shows it, so that there is a sign of life while a block of an attack takes minutes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.api.progress_text import clock, labelled, status_lines
from harness.api.terminal import Terminal
from harness.errors import brief, visible, visible_lines
from harness.events import Ended, EpochDone, Event, Examined, Logged, Noted

if TYPE_CHECKING:
    from harness.execution.outlook import Outlook

TICK_S = 1.0
_SHARE = 20  # the display takes at most so small a part of the time
SOONEST_S, LATEST_S = 5.0, 30.0  # between two plain reports; they become rarer in the course of the work
PLAIN_WIDTH, PLAIN_HEIGHT = 80, 9  # of a plain report
MOST_SAID = 20  # lines about single items that are done, and as many about those that failed


def pause_after(took_s: float) -> float:
    """Seconds until the state is shown again: of a hundred thousand parts the time left takes a second to tell."""
    return max(TICK_S, _SHARE * took_s)


class Watch:
    """Receives events and shows how far the work is, unless it is quiet. A context manager.

    Args:
        console: where to write; None: standard error.
        time_s: a clock, in seconds.
        ticking: whether its own thread shows the state; else ``tick`` is called.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        console: Console | None = None,
        time_s: Callable[[], float] = time.monotonic,
        ticking: bool = True,
    ) -> None:
        self._quiet, self._verbose, self._time_s, self._ticking = quiet, verbose, time_s, ticking
        self._console = console or Terminal(stderr=True)
        self._outlook: Outlook | None = None
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._console.is_terminal and not quiet
            else None
        )
        self._lock, self._stop, self._gone = threading.RLock(), threading.Event(), False
        self._thread = threading.Thread(target=self._tick_on, daemon=True)
        self._started_s = self._reported_s = time_s()
        self._said = Counter[bool]()  # lines about items, by whether they failed

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._quiet:
            return
        from harness.execution.outlook import Outlook

        with self._lock:
            self._outlook = self._outlook or Outlook()
            self._outlook.hear(event, self._time_s())
            if isinstance(event, Noted):
                self._print(visible(f"harness: {event.text}"))
            elif isinstance(event, Logged):
                if self._verbose:
                    self._print(event.text)
            elif isinstance(event, EpochDone) and event.record.epoch == event.epochs:
                record = event.record
                rate = record.images / record.duration_s
                self._say(event.label, f"trained to epoch {record.epoch}, loss {record.loss:.4g}, {rate:.0f} images/s")
            elif isinstance(event, Examined):
                flagged = sum(finding.status == "flagged" for finding in event.findings)
                self._say(event.label, f"{len(event.findings)} checks of rigour, {flagged} flagged")
            elif isinstance(event, Ended) and event.failed and (item := self._outlook.item(event.key)) is not None:
                reason = brief(visible(event.reason or "no reason is known"))
                self._say(item.label, f"{visible(item.what)} failed: {reason}", failed=True)

    def note(self, text: str) -> None:
        """Show a remark, unless it is quiet."""
        self(Noted(text))

    def alert(self, text: str) -> None:
        """Show a line about something that went wrong, also where it is quiet."""
        with self._lock:
            self._print(visible(f"harness: {text}"))

    def tick(self) -> None:
        """Show the state: on a terminal always, elsewhere if the last report is long enough ago."""
        with self._lock:
            now, outlook = self._time_s(), self._outlook
            if self._gone or outlook is None or not outlook.total:
                return
            lines = status_lines(outlook, now, self._started_s, self._width, self._height)
            if self._live is not None:
                with self._if_there():
                    self._live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
            elif now - self._reported_s >= min(LATEST_S, max(SOONEST_S, (now - self._started_s) / 10)):
                self._reported_s = now
                self._print("\n".join(lines))

    @property
    def _width(self) -> int:
        return self._console.width if self._live is not None else PLAIN_WIDTH

    @property
    def _height(self) -> int:
        """Lines of the state: on a terminal, all but the one that the cursor takes."""
        return self._console.height - 1 if self._live is not None else PLAIN_HEIGHT

    def _say(self, label: str, text: str, *, failed: bool = False) -> None:
        """A line about an item that is done, or failed. Of hundreds, most are only counted."""
        self._said[failed] += 1
        so_far = clock(self._time_s() - self._started_s)
        if self._said[failed] <= MOST_SAID:
            width = self._width - len(so_far) - 1 if not failed else len(label) + len(text) + 2  # a reason may be long
            self._print(f"{so_far} {labelled(label, text, width)}")
        elif self._said[failed] == MOST_SAID + 1:
            more = "more failures are counted, and told at the end" if failed else "what else is done is only counted"
            self._print(f"{so_far} {more}")

    def _print(self, line: str) -> None:
        """Print a line above those that move, without markup."""
        if self._gone:
            return
        with self._if_there():
            if self._live is None:
                print(visible_lines(line), file=self._console.file, flush=True)
            else:
                self._console.print(Text(visible_lines(line)), soft_wrap=True)

    @contextlib.contextmanager
    def _if_there(self) -> Iterator[None]:
        """Inside, what cannot be shown, as on a terminal that was closed, is given up: the work goes on without it."""
        try:
            yield
        except OSError:
            self._gone = True

    def _tick_on(self) -> None:
        pause_s = TICK_S
        while not self._stop.wait(pause_s):
            began_s = time.monotonic()
            self.tick()
            pause_s = pause_after(time.monotonic() - began_s)

    def __enter__(self) -> Self:
        if self._live is not None:
            with self._if_there():
                self._live.start()
        if self._ticking and not self._quiet:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._live is not None:
            with self._if_there():
                self._live.stop()
