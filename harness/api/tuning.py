"""Tunes methods equally: as many trials for each, judged on training images that are held out, never on test images.

A trial is an ordinary training with a training seed that no row counts, and is not attacked on test images. What it
reached after each epoch is in the store, so the same command goes on where it stood, and trains nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from harness.api.given import settings_of
from harness.api.running import Conducted, boards_of, conduct, conduct_runs, missing_of, plan_runs
from harness.api.studies import Study
from harness.api.workplace import Note, Workplace
from harness.errors import HarnessError, SettingError, Stopped
from harness.events import VALIDATION_ROBUST, EpochDone, Event, Report
from harness.leaderboard.tuned import TUNED
from harness.planning.cost import estimate
from harness.planning.grid import owned_values
from harness.planning.missing import Missing, RunGap
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.plugin.dataset import Dataset
from harness.plugin.search import Searched, search_space
from harness.protocols.run_spec import TRIAL_SEED
from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop_of
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.store.validated import validated_epochs
from harness.targets.target import quiet
from harness.training.schedule import checkpoint_epochs

MOST_TRIALS = 10_000
TRIAL_TAG = "trial"
_PRUNED_BY = "tune"


@dataclass(frozen=True)
class TunedTrial:
    """How one trial ended.

    Attributes:
        settings: those that were searched.
        percent: robust accuracy on the images held out, at the checkpoint that ranks; None unless it is done.
        run: its number; None if the settings were refused.
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
            one, times = estimate(_without_attacks(missing_of([job], place, fresh=True))), self.trials_of(method)
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


def tuned(tuning: Tuning, place: Workplace, listen: Report, note: Note) -> list[TunedMethod]:
    """Do the trials, method by method, and one after the other, since each depends on those before it.

    Raises:
        HarnessError: every trial of a method failed, or one was given up.
        Stopped: somebody asked to stop; the same command goes on.
    """
    return [_Trials(tuning, method, place, listen, note).conduct() for method in tuning.first]


@dataclass
class _Trials:
    """The trials of one method."""

    tuning: Tuning
    method: str
    place: Workplace
    listen: Report
    note: Note
    seen: list[tuple[int, float]] = field(default_factory=list)  # epochs of the trial so far, with their accuracies
    pruned: bool = False

    def conduct(self) -> TunedMethod:
        first, space = self.tuning.first[self.method], self.tuning.searched[self.method]
        defaults = {name: getattr(first.method, name) for name in space}
        self.study = Study(space, defaults, self.tuning.seed, first.protocol.train.epochs)
        self.checkpoint = first.protocol.evaluation.checkpoints[-1]
        train = first.protocol.train
        self.until = checkpoint_epochs(train).get(self.checkpoint, train.epochs)  # `best` may be any epoch
        trials = []
        for number in range(1, self.tuning.trials_of(self.method) + 1):
            trials.append(self._trial(number, self.study.ask()))
            self.note(f"{self.method}, trial {number} of {self.tuning.trials_of(self.method)}: {_told(trials[-1])}")
        found = TunedMethod(self.method, space, tuple(trials))
        if not any(trial.percent is not None for trial in trials):
            raise HarnessError(f"every trial of {self.method} failed, the last since: {trials[-1].reason}")
        return found

    def _trial(self, number: int, settings: dict[str, Any]) -> TunedTrial:
        self.seen, self.pruned = [], False
        try:
            job = self.tuning.job(self.method, settings)
        except SettingError as error:
            self.study.tell(None)
            return TunedTrial(number, settings, "failed", None, None, str(error))
        missing = _without_attacks(missing_of([job], self.place, fresh=False))
        gap = missing.runs[0]
        if gap.record is not None:
            for at in validated_epochs(((e.epoch, e.diagnostics) for e in gap.record.epochs), gap.record.training):
                self._reached(at.epoch, at.robust_percent)
        if not self.pruned and gap.items:
            self._train(missing)
        run = _run_of(gap, self.place)
        if self.pruned:
            self.study.tell(None, pruned=True)
            return TunedTrial(number, settings, "pruned", None, run.id if run is not None else None)
        refused = str(gap.refusal) if gap.refusal is not None else ""
        if run is None or run.status != "done" or not self.seen:
            self.study.tell(None)
            reason = (run.failure if run is not None else None) or refused or "it recorded no accuracy"
            return TunedTrial(number, settings, "failed", None, None if run is None else run.id, reason)
        percent = self.seen[-1][1]
        self.study.tell(percent)
        return TunedTrial(number, settings, "done", percent, run.id)

    def _train(self, missing: Missing) -> None:
        """Train the trial, until it ends or is pruned.

        Raises:
            Stopped: somebody else asked to stop.
        """
        try:
            summary = conduct(missing, self.place, self._hear)
        except Stopped:
            take_back_stop_of(_PRUNED_BY)
            if asked_to_stop() or not self.pruned:
                raise
        else:
            take_back_stop_of(_PRUNED_BY)
            for reason in summary.undone.values():
                raise HarnessError(f"a trial of {self.method} was given up: {reason}")

    def _hear(self, event: Event) -> None:
        self.listen(event)
        if isinstance(event, EpochDone) and VALIDATION_ROBUST in event.record.diagnostics:
            before = self.pruned
            self._reached(event.record.epoch, event.record.diagnostics[VALIDATION_ROBUST])
            if self.pruned and not before and event.record.epoch < event.epochs:
                ask_to_stop(_PRUNED_BY)

    def _reached(self, epoch: int, percent: float) -> None:
        """Tell the study of an epoch that it does not know yet."""
        if self.pruned or epoch > self.until or (self.seen and epoch <= self.seen[-1][0]):
            return
        if self.checkpoint == "best" and self.seen:
            percent = max(percent, self.seen[-1][1])
        self.seen.append((epoch, percent))
        self.pruned = self.study.report(epoch, percent)


def _without_attacks(missing: Missing) -> Missing:
    """The trainings alone: no image of the test set is attacked."""
    return replace(missing, runs=tuple(replace(run, models=()) for run in missing.runs))


def _run_of(gap: RunGap, place: Workplace) -> RunRecord | None:
    """The trial's run, as it stands now; it gets a tag, so that nobody takes it for a run of a row."""
    store = Store.write(place.db)
    try:
        numbers = [one.id for one in store.attempts({gap.spec.identity})]
        if not numbers:
            return None
        run = store.run(max(numbers))
        if TRIAL_TAG not in run.tags:
            store.change_tags([run], [TRIAL_TAG], [])
        return run
    finally:
        store.close()


def _told(trial: TunedTrial) -> str:
    settings = " ".join(f"{name}={value}" for name, value in trial.settings.items()) or "its defaults"
    if trial.percent is not None:
        return f"{settings}: {trial.percent:.2f} % of the images held out"
    return f"{settings}: {trial.state}" + (f" ({trial.reason})" if trial.reason else "")


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


def run_tuned(tuning: Tuning, place: Workplace, listen: Report, note: Note) -> tuple[list[TunedMethod], Conducted]:
    """Do the trials; then train and attack each method with its best settings, as ordinary runs, and tag these.

    Raises:
        HarnessError, Stopped: see ``tuned``.
    """
    found = tuned(tuning, place, listen, note)
    request = replace(tuning.asked, values=(*tuning.asked.values, *values_of_best(found)))
    planned = plan_runs(request, place, fresh=False, count_only=False, note=note)
    done = conduct_runs(planned, place, listen)
    tag_tuned(found, done.summary.run_ids, place)
    return found, replace(done, boards=boards_of(planned.jobs, done.summary.run_ids, place))
