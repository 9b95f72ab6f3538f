"""Does the trials of methods that are tuned, one after the other, and runs the methods with what was chosen.

A trial is an ordinary training with a training seed that no row counts, and is not attacked on test images. What it
reached after each epoch is in the store, so the same command goes on where it stood, and trains nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from harness.api.running import Conducted, boards_of, conduct, conduct_runs, missing_of, plan_runs
from harness.api.studies import Study
from harness.api.tuned_methods import TunedMethod, TunedTrial, tag_tuned, values_of_best
from harness.api.tuning import Tuning, without_attacks
from harness.api.workplace import Note, Workplace
from harness.errors import GivenUp, HarnessError, SettingError, Stopped
from harness.events import VALIDATION_ROBUST, Began, Ended, EpochDone, Event, Report
from harness.planning.missing import Missing, RunGap
from harness.planning.run_job import RunJob
from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop_of
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.store.validated import validated_epochs
from harness.training.schedule import checkpoint_epochs

MOST_REFUSED = 20  # choices a trial that the method refuses, before its search is taken for a mistake
MOST_REPEATED = 200  # choices in a row that were tried before, until there is taken to be no other
TRIAL_TAG = "trial"
_PRUNED_BY = "tune"


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


def tuned(tuning: Tuning, place: Workplace, listen: Report, note: Note) -> list[TunedMethod]:
    """Do the trials, method by method, and one after the other, since each depends on those before it.

    Raises:
        HarnessError: every trial of a method failed.
        GivenUp: a trial was given up; the next ones depend on it.
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
    refused: list[dict[str, Any]] = field(default_factory=list)
    repeated: int = 0
    at_work: str = ""  # the key of the training

    def conduct(self) -> TunedMethod:
        first, space = self.tuning.first[self.method], self.tuning.searched[self.method]
        defaults = {name: getattr(first.method, name) for name in space}
        self.study = Study(space, defaults, self.tuning.seed, first.protocol.train.epochs)
        self.checkpoint = first.protocol.evaluation.checkpoints[-1]
        train = first.protocol.train
        self.until = checkpoint_epochs(train).get(self.checkpoint, train.epochs)  # `best` may be any epoch
        trials: list[TunedTrial] = []
        while len(trials) < self.tuning.trials_of(self.method):
            number, settings = len(trials) + 1, self.study.ask(at_random=self.repeated > 0)
            if settings in [*(trial.settings for trial in trials), *self.refused]:
                if not self._repeat(len(trials)):
                    break
                continue
            try:
                job = self.tuning.job(self.method, settings)
            except SettingError as error:  # costs nothing, so another choice takes its place: all have equally many
                self._refuse(settings, error)
                continue
            trials.append(self._trial(number, settings, job))
            self.note(f"{self.method}, trial {number} of {self.tuning.trials_of(self.method)}: {_told(trials[-1])}")
        found = TunedMethod(self.method, space, tuple(trials))
        if not any(trial.percent is not None for trial in trials):
            raise HarnessError(f"every trial of {self.method} failed, the last since: {trials[-1].reason}")
        return found

    def _repeat(self, count: int) -> bool:
        """Tell the study of settings that were tried or refused before: no trial. Gives whether to ask for others."""
        self.study.tell(None)
        self.repeated += 1
        if self.repeated < MOST_REPEATED:
            return True
        self.note(f"{self.method}: no more settings than those of {count} trials are found")
        return False

    def _refuse(self, settings: dict[str, Any], error: SettingError) -> None:
        """Tell the study of settings that do not go together."""
        self.study.tell(None)
        self.refused.append(settings)
        if len(self.refused) > MOST_REFUSED * self.tuning.trials:
            raise HarnessError(f"{self.method}: most settings that are tried do not go together, such as: {error}")

    def _trial(self, number: int, settings: dict[str, Any], job: RunJob) -> TunedTrial:
        self.seen, self.pruned, self.repeated = [], False, 0
        missing = without_attacks(missing_of([job], self.place, fresh=False))
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
            GivenUp: the training was given up.
        """
        try:
            summary = conduct(missing, self.place, self._hear)
        except Stopped:
            take_back_stop_of(_PRUNED_BY)
            if asked_to_stop() or not self.pruned:
                raise
            self.listen(Ended(self.at_work, whole=False))
        else:
            take_back_stop_of(_PRUNED_BY)
            for reason in summary.undone.values():
                raise GivenUp(f"a trial of {self.method} was given up: {reason}")

    def _hear(self, event: Event) -> None:
        self.listen(event)
        if isinstance(event, Began):
            self.at_work = event.key
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
