"""What the trials of tuned methods came to, and the mark of the runs that have the settings that were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.api.given import settings_of
from harness.api.workplace import Workplace
from harness.leaderboard.tuned import TUNED
from harness.plugin.search import Searched
from harness.store.store import Store


@dataclass(frozen=True)
class TunedTrial:
    """How one trial ended.

    Attributes:
        settings: those that were searched.
        percent: robust accuracy on the images held out, at the checkpoint that ranks; None unless it is done.
        run: its number; None if a plugin was refused before a run began.
    """

    number: int
    settings: Mapping[str, Any]
    state: Literal["done", "pruned", "failed"]
    percent: float | None
    run: int | None
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        return dict(vars(self)) | {"settings": dict(self.settings)}


@dataclass(frozen=True)
class TunedMethod:
    """What the trials of one method came to."""

    method: str
    searched: Mapping[str, Searched]
    trials: tuple[TunedTrial, ...]

    @property
    def best(self) -> TunedTrial:
        """The trial of the highest accuracy; of equal ones the earliest, and so the defaults first."""
        done = [trial for trial in self.trials if trial.percent is not None]
        return max(done, key=lambda trial: trial.percent or 0.0)

    def count(self, state: str) -> int:
        """How many trials ended so."""
        return sum(trial.state == state for trial in self.trials)

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "method": self.method,
            "searched": {name: dict(vars(searched)) for name, searched in self.searched.items()},
            "best": self.best.document(),
            "trials": [trial.document() for trial in self.trials],
        }


def values_of_best(found: Sequence[TunedMethod]) -> tuple[str, ...]:
    """The settings of each method's best trial, as ``--set`` takes them."""
    return settings_of({f"{one.method}.{name}": value for one in found for name, value in one.best.settings.items()})


def tag_tuned(found: Sequence[TunedMethod], runs: Sequence[int], place: Workplace) -> None:
    """Tag the runs whose settings were chosen, each with the number of its method's trials; their rows say it."""
    store = Store.write(place.db)
    try:
        for run in store.runs_of(runs):
            one = next(one for one in found if one.method == run.method)
            own = {f"{TUNED}{len(one.trials)}"} if one.searched else set()  # without a setting nothing was chosen
            store.change_tags([run], own, {tag for tag in run.tags if tag.startswith(TUNED)} - own)
    finally:
        store.close()
