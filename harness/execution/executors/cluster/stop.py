"""How the workers of a cluster hear that the work is to stop: all wait for the end of one task of the command."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from harness.runtime.stopping import ask_to_stop, take_back_stop


def wait_for_ever() -> None:
    """The task whose end is the sign: the command ends it to stop the work, and it ends with the command.

    It lives where the command runs. It is no actor: Ray looks after an idle actor all the time, which takes one percent
    of a core; after a task that waits, a quarter of that.
    """
    threading.Event().wait()


_one_at_a_time = threading.Lock()
_followed: list[str] = []  # names of the commands that this worker's process worked for; the last one counts


def follow(command: str, sign: Any) -> bool:
    """Have this worker's process stop its work when the sign is given, or when the command has ended.

    Args:
        command: names the command.
        sign: the reference to what its task ``wait_for_ever`` returns, which is never a value.
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

    with contextlib.suppress(ray.exceptions.RayError):  # the task was ended, or the command has
        ray.get(sign)
    with _one_at_a_time:  # else the next command may begin between the question and the request
        if _followed[-1] == command:
            ask_to_stop()
