"""How the workers of a cluster hear that the work is to stop: each waits for one answer of an actor of the command."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from harness.runtime.stopping import ask_to_stop, take_back_stop


class StopSign:
    """The actor: it lives where the command runs, so that its end is the command's end."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    async def wait(self) -> None:
        """Return once somebody asked to stop."""
        await self._asked.wait()

    async def ask(self) -> None:
        """Ask all workers to stop."""
        self._asked.set()


_one_at_a_time = threading.Lock()
_followed: list[str] = []  # names of the commands that this worker's process worked for; the last one counts


def follow(command: str, sign: Any) -> bool:
    """Have this worker's process stop its work when the sign says so, or when the command has ended.

    Args:
        command: names the command.
        sign: its ``StopSign``.
    Returns:
        Whether the command is another one than that of the item before.
    """
    with _one_at_a_time:
        if _followed and _followed[-1] == command:
            return False
        take_back_stop()  # an earlier command may have asked
        _followed.append(command)
    threading.Thread(target=_wait_for, args=(command, sign), daemon=True).start()
    return True


def _wait_for(command: str, sign: Any) -> None:
    import ray

    with contextlib.suppress(ray.exceptions.RayError):  # the sign has ended, and so has its command
        ray.get(sign.wait.remote())
    with _one_at_a_time:  # else the next command may begin between the question and the request
        if _followed[-1] == command:
            ask_to_stop()
