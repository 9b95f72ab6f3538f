"""A recorder for the CPU: it keeps the function, and runs it again on the same memory, as a CUDA graph does."""

from __future__ import annotations

from collections.abc import Callable

Replay = Callable[[], None]


class Recorder:
    """Keeps what it records, and counts replays."""

    def __init__(self, spoil: Callable[[Replay], Replay] = lambda run: run) -> None:
        self.recorded, self.replayed, self._spoil = 0, 0, spoil

    def __call__(self, run: Replay) -> Replay:
        self.recorded += 1
        run()

        def replay() -> None:
            self.replayed += 1
            self._spoil(run)()

        return replay
