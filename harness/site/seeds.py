"""Which training seeds of a row ended in a network, and which failed or still run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from harness.identity import canonical_json
from harness.store.records import RunRecord


@dataclass(frozen=True)
class Attempts:
    """The runs that share everything but the training seed: for each seed the run that counts.

    Attributes:
        label: the method as the board names it, without its code.
        done, failed, running: the run of each seed, in the order of the seeds.
    """

    label: str
    done: tuple[RunRecord, ...]
    failed: tuple[RunRecord, ...]
    running: tuple[RunRecord, ...]

    @property
    def of(self) -> int:
        """How many training seeds were begun."""
        return len(self.done) + len(self.failed) + len(self.running)

    @property
    def text(self) -> str:
        """``1 of 5 training seeds failed``, and how many still run; empty where all are done."""
        parts = [(self.failed, "failed"), (self.running, "still running")]
        return ", ".join(f"{len(runs)} of {self.of} training seeds {what}" for runs, what in parts if runs)


def attempts(runs: Iterable[RunRecord]) -> list[Attempts]:
    """Every group of runs that share everything but the training seed.

    Of one seed the newest run that is done counts, as on the board; without any, the newest run.
    """
    groups: dict[str, dict[str, RunRecord]] = defaultdict(dict)
    for run in runs:
        counted = groups[_kin(run)].get(run.identity)
        if counted is None or run.status == "done" or counted.status != "done":
            groups[_kin(run)][run.identity] = run
    return [_of(sorted(group.values(), key=lambda run: run.train_seed)) for group in groups.values()]


def _of(runs: list[RunRecord]) -> Attempts:
    by_status = {status: tuple(r for r in runs if r.status == status) for status in ("done", "failed", "running")}
    return Attempts(label_of(runs[0]), **by_status)


def label_of(run: RunRecord) -> str:
    """A run's method with its settings that differ from the defaults, and its wrappers."""
    departures = "".join(f" {key}={value}" for key, value in run.method_departures.items())
    return "+".join((run.method + departures, *(str(wrapper["name"]) for wrapper in run.wrappers)))


def _kin(run: RunRecord) -> str:
    wrappers = [[w["name"], w["settings"]] for w in run.wrappers]
    method, network = [run.method, run.method_settings], [run.network, run.network_settings]
    return canonical_json([method, wrappers, network, run.code, run.dataset.fingerprint, run.training_sha256])
