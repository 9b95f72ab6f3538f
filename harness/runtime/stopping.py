"""A request to stop, which anybody in the process may make, and which long work looks at between its steps."""

from __future__ import annotations

_asked: list[str] = []  # not an Event: a signal's handler may not wait for a lock


def ask_to_stop(by: str = "") -> None:
    """Ask the work of this process to stop after its step or block, with its state saved.

    Args:
        by: who asks, such as ``SIGTERM``.
    """
    _asked.append(by)


def asked_to_stop() -> bool:
    """Whether somebody asked."""
    return bool(_asked)


def asked_by() -> str:
    """Who asked first; empty if nobody did, or did not say."""
    return _asked[0] if _asked else ""


def take_back_stop_of(by: str) -> None:
    """Take back what this one asked, and nobody else's request."""
    _asked[:] = [who for who in _asked if who != by]


def take_back_stop() -> None:
    """Take the request back, for the next work of this process."""
    _asked.clear()
