"""The course of a command's work: trainings and attacks, each network attacked as soon as it is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import HarnessError, one_line
from harness.events import BlockDone, Ended, Event, Examined, Noted, PlannedItem, Report
from harness.execution.attacked import Attacked
from harness.execution.attacking import Attacking
from harness.execution.claimed import Claimed, Here
from harness.execution.claims import Claims
from harness.execution.executors.executor import Executor, Performed, Supply
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

    First come the trainings that are done alone, one by one, but for those that other commands hold. All else is done
    side by side: a worker that is free takes the next training; if none waits, an attack on a network that is trained.

    An attack that cannot be done ends the command; but trainings that have begun here, or wait here, are done before.

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
        self._alone = Claimed[Work](claims, self._wanted, self._done_elsewhere, singly=True)
        self._beside = Claimed[Work](claims, self._wanted, self._done_elsewhere)
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
        first = {work.key for work in done_alone(trainings, trainer, executor)}
        self._alone.add(work for work in trainings if work.key in first)
        self._beside.add(work for work in trainings if work.key not in first)
        self._plan.attack(self._attack(ready))
        self._plan.say(executor.workers)
        self._run(self._alone, trainer, Here(self._alone))  # what others hold does not keep the rest waiting
        self._run(self._beside, executor)
        self._run(self._alone, trainer)
        self._run(self._beside, executor)
        self._claims.raise_if_stopped()
        if self._fault is not None:
            raise self._fault
        started = time.perf_counter()
        self._attacking.examine_verdicts()
        self._summary.spend(time.perf_counter() - started)

    def _run(self, claimed: Claimed[Any], executor: Executor | Together, supply: Supply[Any] | None = None) -> None:
        started = time.perf_counter()
        outcome: Performed[Any]
        for outcome in executor.run(supply or claimed, self._hear):
            self._end(outcome, claimed)
        self._summary.spend(time.perf_counter() - started)

    def _hear(self, event: Event) -> None:
        if self._trainings is None or isinstance(event, BlockDone | Examined):
            self._attacking.hear(event)
        else:
            self._trainings.hear(event)

    def _wanted(self, work: Work) -> bool:
        return _trains(work) or (self._fault is None and self._attacking.wanted(work))

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
            self._hold(fault, work)

    def _hold(self, fault: HarnessError, work: Work) -> None:
        """Keep what keeps an attack from being done until all is trained that this command can train now.

        Raises:
            HarnessError: the fault, if nothing waits here to be trained, or is in training.
        """
        dropped = [one for claimed in (self._alone, self._beside) for one in claimed.drop(lambda it: not _trains(it))]
        if not any(claimed.any_here(_trains) for claimed in (self._alone, self._beside)):
            raise self._fault or fault
        self._tell(Ended(work.key, failed=True, reason=one_line(fault)))
        self._plan.forget([one.key for one in dropped])
        if self._fault is None:
            self._tell(Noted("no further attack is taken up, and the trainings go on; then the command ends"))
        self._fault = self._fault or fault

    def _done_elsewhere(self, work: Work) -> None:
        """A training that another command has ended."""
        assert isinstance(work, TrainWork)
        assert self._trainings is not None
        self._trainings.hear_of_others(work)
        self._training_over(work)

    def _training_over(self, work: TrainWork) -> None:
        """Have the network attacked, unless its training failed."""
        models = self._trained(work.run_id) if self._fault is None else []
        self._plan.attack_now(work.run_id, self._attack(models))

    def _attack(self, models: Sequence[Attacked]) -> list[PlannedItem]:
        works, planned = self._attacking.add(models)
        self._beside.add(works)
        return planned


def _trains(work: Work) -> bool:
    return isinstance(work, TrainWork)
