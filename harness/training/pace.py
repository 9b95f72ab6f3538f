"""How fast a training goes: told at most twice a second, however short its epochs are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from harness.events import TrainingProgress
from harness.training.epoch_so_far import EpochSoFar

PROGRESS_INTERVAL_S = 0.5


class Pace:
    """The pace of one training.

    Args:
        epochs: of the whole training.
    """

    def __init__(self, run_id: int, label: str, epochs: int) -> None:
        self._of = run_id, label
        self._epochs, self._told = epochs, time.perf_counter()
        self._ended, self._beside_s = 0, 0.0

    def due(self) -> bool:
        """Whether so much time has passed since it was told that it is to be told again."""
        now = time.perf_counter()
        due = now - self._told >= PROGRESS_INTERVAL_S
        self._told = now if due else self._told
        return due

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """Count the body as what an epoch takes beside its updates: it measures the network, if that is due."""
        began = time.perf_counter()
        yield
        self._ended += 1
        self._beside_s += time.perf_counter() - began

    def progress(self, so_far: EpochSoFar, images: int, batch: int, batches: int, done: float) -> TrainingProgress:
        """How far the training is, and the time left: of updates at the epoch's pace so far, and of what is beside.

        Args:
            images: of an epoch, of which so many are ``done`` in this one.
            batch: the one at work, of so many ``batches``.
        """
        rate, epochs = done / so_far.duration_s, self._epochs - so_far.epoch + 1
        left_s = (epochs * images - done) / rate + epochs * self._beside_s / max(1, self._ended)
        at = (*self._of, so_far.epoch, self._epochs, batch, batches)
        return TrainingProgress(*at, loss=so_far.means.loss(), images_per_s=rate, left_s=left_s)
