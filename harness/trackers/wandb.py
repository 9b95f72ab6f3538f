"""Weights & Biases: one of its runs for each run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from harness.errors import visible
from harness.events import EpochRecord, Finding
from harness.trackers.metrics import edges, key_of, scalars, seed_key
from harness.trackers.outcomes import EvaluationDone
from harness.trackers.tracker import RunStatus, TrackedRun, Tracker

if TYPE_CHECKING:
    import wandb


class WeightsAndBiases(Tracker):
    """Logs epochs as history, whose step is the epoch, and accuracies and flags as the run's summary.

    The library's own variables hold: ``WANDB_MODE=offline`` keeps everything in ``WANDB_DIR``, ``WANDB_API_KEY`` logs
    in, ``WANDB_BASE_URL`` names a server. Of this machine only what the library itself records is sent: no code, no
    commit, no console output.

    Args:
        place: ``PROJECT`` or ``ENTITY/PROJECT``.
    """

    name = "wandb"

    def __init__(self, place: str) -> None:
        self._entity, _, self._project = place.rpartition("/")
        self._runs: dict[str, wandb.Run] = {}
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_INIT_TIMEOUT", "45")  # less than ``PATIENCE_S``, so that the reason is told

    def run_began(self, run: TrackedRun) -> str | None:
        import wandb

        begun = self._runs[run.key] = wandb.init(
            project=self._project,
            entity=self._entity or None,
            name=visible(run.name),
            group=visible(run.group),
            tags=list(run.tags),
            config=run.settings,
            reinit="create_new",  # several runs are open side by side
            settings=wandb.Settings(console="off", silent=True, save_code=False, disable_git=True),
        )
        return begun.url or f"offline, in {begun.dir}; wandb sync sends it"

    def epoch_done(self, run: TrackedRun, record: EpochRecord) -> None:
        import numpy as np
        import wandb

        histograms = {
            key_of("histograms", each.name): wandb.Histogram(
                np_histogram=(np.array(each.counts), np.array(edges(each)))
            )
            for each in record.histograms
        }
        self._runs[run.key].log({**scalars(record), **histograms}, step=record.epoch)

    def evaluation_done(self, run: TrackedRun, evaluation: EvaluationDone) -> None:
        self._runs[run.key].summary[seed_key(evaluation)] = evaluation.percent

    def flagged(self, run: TrackedRun, checkpoint: str, finding: Finding) -> None:
        self._runs[run.key].summary[key_of("flags", checkpoint, finding.check)] = visible(finding.reason)

    def run_ended(self, run: TrackedRun, status: RunStatus, reason: str | None) -> None:
        begun = self._runs.pop(run.key)
        begun.summary["status"] = status if reason is None else f"{status}: {visible(reason)}"
        begun.finish(exit_code=0 if status == "done" else 1)
