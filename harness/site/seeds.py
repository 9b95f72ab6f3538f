"""Which training seeds of a row ended in a network, which failed, and what became of the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import legible
from harness.identity import canonical_json
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.records import RunRecord
from harness.store.run_state import RunState, State

WORDS: dict[State, str] = {"running": "still running"}  # of the other states, the word is the state


@dataclass(frozen=True)
class Attempts:
    """The runs that share everything but the training seed: for each seed the run that counts.

    Attributes:
        label: the method as the board names it, without its code.
        done, failed, open: the run of each seed, in the order of the seeds; an open one is neither done nor failed.
        states: what became of the open ones, one after the other: running, queued, lost, ...
    """

    label: str
    done: tuple[RunRecord, ...]
    failed: tuple[RunRecord, ...]
    open: tuple[RunRecord, ...]
    states: tuple[State, ...]

    @property
    def of(self) -> int:
        """How many training seeds were begun."""
        return len(self.done) + len(self.failed) + len(self.open)

    @property
    def text(self) -> str:
        """``1 of 5 training seeds failed``, and how many still run, or were lost; empty where all are done."""
        others: list[State] = ["failed"] * len(self.failed)
        counts = Counter([*others, *self.states])
        return ", ".join(f"{n} of {self.of} training seeds {WORDS.get(state, state)}" for state, n in counts.items())


def attempts(runs: Iterable[RunRecord], states: Mapping[int, RunState]) -> list[Attempts]:
    """Every group of runs that share everything but the training seed.

    Of one seed the newest run that is done counts, as on the board; without any, the newest run. Trials of
    ``harness tune`` are left out.

    Args:
        states: of each run, by its number.
    """
    groups: dict[str, dict[str, RunRecord]] = defaultdict(dict)
    for run in runs:
        if run.train_seed == TRIAL_SEED:
            continue
        counted = groups[_kin(run)].get(run.identity)
        if counted is None or run.status == "done" or counted.status != "done":
            groups[_kin(run)][run.identity] = run
    return [_of(sorted(group.values(), key=lambda run: run.train_seed), states) for group in groups.values()]


def _of(runs: list[RunRecord], states: Mapping[int, RunState]) -> Attempts:
    done, failed, unended = (tuple(r for r in runs if r.status == status) for status in ("done", "failed", "running"))
    return Attempts(label_of(runs[0]), done, failed, unended, tuple(states[run.id].state for run in unended))


def label_of(run: RunRecord) -> str:
    """A run's method with its settings that differ from the defaults, and its wrappers."""
    departures = "".join(f" {key}={value}" for key, value in run.method_departures.items())
    return legible("+".join((run.method + departures, *(str(wrapper["name"]) for wrapper in run.wrappers))))


def _kin(run: RunRecord) -> str:
    wrappers = [[w["name"], w["settings"]] for w in run.wrappers]
    method, network = [run.method, run.method_settings], [run.network, run.network_settings]
    return canonical_json([method, wrappers, network, run.code, run.dataset.fingerprint, run.training_sha256])
