"""MLflow: one of its runs for each run, in the experiment ``harness``."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from harness.errors import legible, visible
from harness.events import EpochRecord, Finding
from harness.trackers.metrics import flattened, scalars, seed_key
from harness.trackers.outcomes import EvaluationDone
from harness.trackers.tracker import RunStatus, TrackedRun, Tracker

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "harness"
VARIABLES = {  # unless the user has set them
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # MLflow's 7 take minutes until a server that is gone is a failure
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
STATUS: dict[RunStatus, str] = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
TOGETHER = 100  # parameters in one call: MLflow's limit
LONGEST = 5000  # characters of a parameter or tag: MLflow takes 6000 and 8000, some of its stores 5000
_TAKEN = r"\w.\- /"
_REFUSED = re.compile(rf"[^{_TAKEN}]|_(?=[0-9a-f]+(?:_|[^{_TAKEN}]))|^/|/(?=/|$)|(?:(?<=/)|^)\.{{1,2}}(?=/|$)")


class Mlflow(Tracker):
    """Logs settings as parameters, epochs and accuracies as metrics, flags as tags. It logs no artifacts.

    The step of a training's metric is its epoch. An accuracy has the attack's seed in its name.

    Args:
        place: the tracking URI.
    """

    name = "mlflow"

    def __init__(self, place: str) -> None:
        for name, value in VARIABLES.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        self._place = place
        self._client: MlflowClient = MlflowClient(tracking_uri=place)
        self._runs: dict[str, str] = {}  # key -> MLflow's number
        self._experiment: str | None = None

    def run_began(self, run: TrackedRun) -> str | None:
        from mlflow.entities import Param

        if self._experiment is None:
            self._experiment = self._experiment_id()
        tags = {"harness.group": visible(run.group)} | {f"harness.tag.{mlflow_key(tag)}": tag for tag in run.tags}
        begun = self._client.create_run(self._experiment, run_name=visible(run.name), tags=tags)
        self._runs[run.key] = begun.info.run_id
        settings = [Param(mlflow_key(name), value[:LONGEST]) for name, value in flattened(run.settings)]
        for first in range(0, len(settings), TOGETHER):
            self._client.log_batch(begun.info.run_id, params=settings[first : first + TOGETHER])
        return f"experiment {EXPERIMENT!r} in {self._place}"

    def epoch_done(self, run: TrackedRun, record: EpochRecord) -> None:
        self._log(run, scalars(record), record.epoch)

    def evaluation_done(self, run: TrackedRun, evaluation: EvaluationDone) -> None:
        self._log(run, {seed_key(evaluation): evaluation.percent}, 0)

    def flagged(self, run: TrackedRun, checkpoint: str, finding: Finding) -> None:
        self._client.set_tag(
            self._runs[run.key], mlflow_key(f"flags.{checkpoint}.{finding.check}"), visible(finding.reason)[:LONGEST]
        )

    def run_ended(self, run: TrackedRun, status: RunStatus, reason: str | None) -> None:
        number = self._runs.pop(run.key)
        if reason is not None:
            self._client.set_tag(number, "harness.failure", visible(reason)[:LONGEST])
        self._client.set_terminated(number, STATUS[status])

    def _log(self, run: TrackedRun, values: dict[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(mlflow_key(name), value, now_ms, step) for name, value in values.items()]
        self._client.log_batch(self._runs[run.key], metrics=metrics)

    def _experiment_id(self) -> str:
        known = self._client.get_experiment_by_name(EXPERIMENT)
        return self._client.create_experiment(EXPERIMENT) if known is None else known.experiment_id


def mlflow_key(name: str) -> str:
    """A name that MLflow takes; other characters become their number, so that no two names become one.

    An underscore that would be read as the begin of such a number becomes its number, too. So does what is no plain
    step of a path: MLflow refuses ``a//b`` and ``a/../b``.
    """
    return _REFUSED.sub(lambda found: "".join(f"_{ord(c):x}_" for c in found[0]), legible(name))
