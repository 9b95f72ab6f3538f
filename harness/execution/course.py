"""The course of a command's work: trainings and attacks, each network attacked as soon as it is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import HarnessError, one_line
from harness.events import BlockDone, Event, Examined, Noted, PlannedItem, Report
from harness.execution.attacked import Attacked
from harness.execution.attacking import Attacking
from harness.execution.claimed import Claimed
from harness.execution.claims import Claims
from harness.execution.executors.executor import Executor, Performed
from harness.execution.executors.together import Together
from harness.execution.plan import Plan
from harness.execution.summary import Summary
from harness.execution.trainings import Trainings
from harness.execution.work import TrainWork, Work


def done_alone(works: Sequence[TrainWork], trainer: Executor | Together, executor: Executor) -> list[TrainWork]:
    """The trainings beside which nothing else is done: those that take all cores, or several devices."""
    if trainer is not executor:
        return list(works)
    return [work for work in works if work.threads > 1 and executor.whole_machine]


class Course:
    """Has items performed by an executor, and their results kept.

    First come the trainings that are done alone, one by one. All else is done side by side: a worker that is free takes
    the next training; if none waits, an attack on a network that is trained.

    An attack that cannot be done ends the command; but trainings that have begun, or wait, are done before.

    Args:
        tell: receives remarks.
        trained: gives what is to be attacked of a run's network, now that its training is over; nothing if it failed.
    """

    def __init__(
        self,
        plan: Plan,
        tell: Report,
        summary: Summary,
        claims: Claims,
        attacking: Attacking,
        trainings: Trainings | None = None,
        trained: Callable[[int], Sequence[Attacked]] = lambda _run_id: (),
    ) -> None:
        self._plan, self._tell, self._summary, self._claims = plan, tell, summary, claims
        self._attacking, self._trainings, self._trained = attacking, trainings, trained
        self._beside = Claimed[Work](claims, self._wanted, self._done_elsewhere)
        self._to_train: set[str] = set()  # keys of the trainings that are not over
        self._fault: HarnessError | None = None

    def perform(
        self,
        trainings: Sequence[TrainWork],
        ready: Sequence[Attacked],
        trainer: Executor | Together,
        executor: Executor,
    ) -> None:
        """Do all the work.

        Args:
            ready: the models that can be attacked already.
            trainer: performs the trainings: ``executor``, or several devices together.
        Raises:
            HarnessError: a plugin, a data set, or weights cannot be used; what was done before is kept. A training that
                fails raises nothing: the summary names it.
            Stopped: somebody asked to stop; the states are saved.
        """
        self._to_train = {work.key for work in trainings}
        alone = done_alone(trainings, trainer, executor)
        first = {work.key for work in alone}
        self._beside.add(work for work in trainings if work.key not in first)
        self._plan.attack(self._attack(ready))
        self._plan.say(executor.workers)
        for group in [alone] if trainer is not executor else [[work] for work in alone]:
            source = Claimed[Work](self._claims, self._wanted, self._done_elsewhere)
            source.add(group)
            self._run(source, trainer)
        self._run(self._beside, executor)
        self._claims.raise_if_stopped()
        if self._fault is not None:
            raise self._fault
        self._attacking.examine_verdicts()

    def _run(self, source: Claimed[Any], executor: Executor | Together) -> None:
        started = time.perf_counter()
        outcome: Performed[Any]
        for outcome in executor.run(source, self._hear):
            self._end(outcome, source)
        self._summary.spend(time.perf_counter() - started)

    def _hear(self, event: Event) -> None:
        if self._trainings is None or isinstance(event, BlockDone | Examined):
            self._attacking.hear(event)
        else:
            self._trainings.hear(event)

    def _wanted(self, work: Work) -> bool:
        return isinstance(work, TrainWork) or self._attacking.wanted(work)

    def _end(self, outcome: Performed[Any], source: Claimed[Any]) -> None:
        work, error = outcome.work, outcome.error
        if isinstance(work, TrainWork):
            assert self._trainings is not None
            if self._trainings.end(work, error, source):
                self._training_over(work)
            return
        try:
            self._attacking.end(work, error, source)
        except HarnessError as fault:
            if not self._to_train:
                raise
            if self._fault is None:
                self._tell(Noted(f"no further attack begins, and the trainings go on: {one_line(fault)}"))
            self._fault = self._fault or fault
            self._beside.keep(lambda waiting: isinstance(waiting, TrainWork))

    def _done_elsewhere(self, work: Work) -> None:
        """A training that another command has ended."""
        assert isinstance(work, TrainWork)
        assert self._trainings is not None
        self._trainings.hear_of_others(work)
        self._training_over(work)

    def _training_over(self, work: TrainWork) -> None:
        """Have the network attacked, unless its training failed."""
        self._to_train.discard(work.key)
        models = self._trained(work.run_id) if self._fault is None else []
        self._plan.attack_now(work.run_id, self._attack(models))

    def _attack(self, models: Sequence[Attacked]) -> list[PlannedItem]:
        works, planned = self._attacking.add(models)
        self._beside.add(works)
        return planned
