"""TensorBoard: one folder of event files for each run."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import visible
from harness.events import EpochRecord, Finding, Histogram
from harness.trackers.metrics import accuracy_key, edges, key_of, scalars
from harness.trackers.outcomes import EvaluationDone
from harness.trackers.tracker import RunStatus, TrackedRun, Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LONGEST = 60  # characters of a folder's name: a file system takes 255 bytes, and a letter may have four


class TensorBoard(Tracker):
    """Writes scalars, histograms, and texts. The step of a training is its epoch, of an accuracy the attack's seed.

    Args:
        place: the folder in which each run gets a folder of its own.
    """

    name = "tensorboard"

    def __init__(self, place: str) -> None:
        self._place = Path(place)
        self._writers: dict[str, SummaryWriter] = {}

    def run_began(self, run: TrackedRun) -> str | None:
        from torch.utils.tensorboard import SummaryWriter

        writer = self._writers[run.key] = SummaryWriter(self._folder(run))
        settings = json.dumps(run.settings | ({"tags": list(run.tags)} if run.tags else {}), indent=2)
        writer.add_text("settings", _as_code(settings))
        writer.flush()
        return f"tensorboard --logdir {self._place}"

    def epoch_done(self, run: TrackedRun, record: EpochRecord) -> None:
        writer = self._writers[run.key]
        for key, value in scalars(record).items():
            writer.add_scalar(key, value, record.epoch)
        for histogram in record.histograms:
            _add_histogram(writer, histogram, record.epoch)
        writer.flush()

    def evaluation_done(self, run: TrackedRun, evaluation: EvaluationDone) -> None:
        writer = self._writers[run.key]
        writer.add_scalar(accuracy_key(evaluation), evaluation.percent, evaluation.seed)
        writer.flush()

    def flagged(self, run: TrackedRun, checkpoint: str, finding: Finding) -> None:
        self._writers[run.key].add_text(key_of("flags", checkpoint, finding.check), _as_code(visible(finding.reason)))

    def run_ended(self, run: TrackedRun, status: RunStatus, reason: str | None) -> None:
        writer = self._writers.pop(run.key)
        writer.add_text("status", _as_code(status if reason is None else f"{status}: {visible(reason)}"))
        writer.close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _folder(self, run: TrackedRun) -> Path:
        """A new folder: TensorBoard draws all event files of a folder as one run."""
        name = re.sub(r"[^\w.+-]", "-", visible(f"{run.key}-{run.name}"))[:LONGEST]
        for number in itertools.count(1):
            folder = self._place / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return folder
        raise AssertionError("the count has no end")


def _as_code(text: str) -> str:
    """A text as Markdown's code: TensorBoard shows texts as Markdown, which may load images from elsewhere."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _add_histogram(writer: SummaryWriter, histogram: Histogram, step: int) -> None:
    """Write counts as they are. The sums, which TensorBoard does not draw, take each value as the middle of its bin."""
    limits, counts = edges(histogram), list(histogram.counts)
    middles = [(a + b) / 2 for a, b in itertools.pairwise(limits)]
    writer.add_histogram_raw(
        key_of("histograms", histogram.name),
        min=limits[0],
        max=limits[-1],
        num=sum(counts),
        sum=sum(n * middle for n, middle in zip(counts, middles, strict=True)),
        sum_squares=sum(n * middle**2 for n, middle in zip(counts, middles, strict=True)),
        bucket_limits=limits[1:],
        bucket_counts=counts,
        global_step=step,
    )
