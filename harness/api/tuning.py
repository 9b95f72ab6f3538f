"""A request to tune methods equally, checked: as many trials for each, judged on images that are held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.api.given import settings_of
from harness.api.running import missing_of
from harness.api.workplace import Note, Workplace
from harness.errors import SettingError
from harness.planning.cost import estimate
from harness.planning.grid import owned_values
from harness.planning.missing import Missing
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.plugin.dataset import Dataset
from harness.plugin.search import Searched, search_space
from harness.protocols.run_spec import TRIAL_SEED
from harness.targets.target import quiet

MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Tuning:
    """A request to tune its methods, checked before anything is written.

    Attributes:
        asked: as the user typed it, for the runs with the best settings.
        request: of the trials.
        first: each method's job with its defaults.
        searched: for each method the settings that are searched: those that the request itself sets are not.
    """

    asked: RunRequest
    request: RunRequest
    trials: int
    seed: int
    first: Mapping[str, RunJob]
    searched: Mapping[str, Mapping[str, Searched]]

    @property
    def dataset(self) -> Dataset:
        """The images, which all trials share."""
        return next(iter(self.first.values())).dataset

    def job(self, method: str, settings: Mapping[str, Any]) -> RunJob:
        """The job of a trial.

        Raises:
            SettingError: the settings do not go together.
        """
        own = settings_of({f"{method}.{name}": value for name, value in settings.items()})
        absent = {*self.first} - {method}
        values = (*(text for text, (owner, _) in owned_values(self.request) if owner not in absent), *own)
        request = replace(self.request, methods=(method,), values=values)
        with quiet():
            (job,) = resolve_run(request, dataset=self.dataset)
        return replace(job, specs=(replace(job.specs[0], train_seed=TRIAL_SEED),))

    def document(self, place: Workplace) -> dict[str, Any]:
        """What the trials cost at most, in JSON types: as the defaults cost, if none is pruned or stored."""
        methods = []
        for method, job in self.first.items():
            one, times = estimate(without_attacks(missing_of([job], place, fresh=True))), self.trials_of(method)
            about = {"method": method, "trials": times, "training_passes_at_most": asdict(one.training.times(times))}
            seconds = None if one.seconds is None else one.seconds * times  # one trial after the other
            searched = {name: dict(vars(found)) for name, found in self.searched[method].items()}
            methods.append(about | {"estimated_s": seconds, "searched": searched})
        return {"methods": methods, "sampler_seed": self.seed, "validation_images": self._held_out}

    @property
    def _held_out(self) -> int:
        return next(iter(self.first.values())).protocol.train.validation

    def trials_of(self, method: str) -> int:
        """How many trials the method gets: one if it has no setting to search."""
        return self.trials if self.searched[method] else 1


def plan_tuning(request: RunRequest, trials: int, seed: int, *, count_only: bool, note: Note) -> Tuning:
    """Check a request to tune. Nothing is written.

    Raises:
        HarnessError: the request cannot be met, or holds no images out; says why in one line.
    """
    if not 1 <= trials <= MOST_TRIALS:
        raise SettingError(f"--trials {trials} is refused: it must be 1 to {MOST_TRIALS:,}")
    if not 0 <= seed < 2**32:
        raise SettingError(f"--sampler-seed {seed} is refused: it must be 0 to {2**32 - 1}")
    asked = replace(request, methods=tuple(dict.fromkeys(request.methods)), train_seeds=1, eval_every=0)
    with quiet():
        jobs = resolve_run(asked, count_only=count_only)
    train = jobs[0].protocol.train
    if not train.validation:
        raise SettingError(
            "tune is refused without images held out, since test images may choose nothing; add --set"
            " train.validation=N, such as a tenth of the training images"
        )
    found: dict[str, Mapping[str, Searched]] = {}
    for job in jobs:
        name, cls = job.specs[0].method, type(job.method)
        fixed = {key for _, (owner, key) in owned_values(asked) if owner == name}
        space = {key: searched for key, searched in search_space(cls).items() if key not in fixed}
        left = [info.name for info in cls.describe() if info.name not in space]
        if not space:
            note(f"{name} has no setting to search: its one trial has its defaults")
        elif left:
            note(f"{name}: not searched, and as set or by default: {', '.join(left)}")
        found[name] = space
    first = {job.specs[0].method: replace(job, specs=(replace(job.specs[0], train_seed=TRIAL_SEED),)) for job in jobs}
    return Tuning(request, asked, trials, seed, first, found)


def without_attacks(missing: Missing) -> Missing:
    """The trainings alone: no image of the test set is attacked."""
    return replace(missing, runs=tuple(replace(run, models=()) for run in missing.runs))
