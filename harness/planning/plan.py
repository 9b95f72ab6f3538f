"""The plan: what a command asks for minus what the store already has, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import PluginError, PluginFault
from harness.identity import digest
from harness.planning.assessment import Assessment, AttackGap
from harness.planning.cost import Timings, timings
from harness.planning.run_request import RunJob
from harness.planning.trials import try_update
from harness.plugin.attack import Passes
from harness.protocols.run_spec import RunSpec
from harness.registry.catalogue import discover
from harness.rigour import budgets as rigour
from harness.runtime.device import device_label
from harness.runtime.provenance import host
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.training.loop import checkpoint_epochs


@dataclass(frozen=True)
class EvaluationGap(AttackGap):
    """An attack's missing blocks on one checkpoint of one run."""

    spec: RunSpec
    checkpoint: str


@dataclass(frozen=True)
class RunGap:
    """One network: what it is, which attempt counts, and how many epochs it has.

    Attributes:
        refusal: why it cannot be trained, since its method breaks its contract; None where it can.
    """

    spec: RunSpec
    attempt: int
    record: RunRecord | None
    epochs_done: int
    refusal: PluginFault | None = None

    @property
    def trained(self) -> bool:
        """Whether the training is done."""
        return self.record is not None and self.record.status == "done"

    @property
    def failed(self) -> bool:
        """Whether the training failed before; the same would fail again, so only ``fresh`` tries."""
        return self.record is not None and self.record.status == "failed"


@dataclass
class Plan:
    """What is to be done for some jobs.

    Attributes:
        evaluations_done: how many evaluations that the jobs ask for are complete in the store.
        examinations: how many checkpoints are to be examined for warning signs.
        training, evaluation: passes through the network, summed over images; the evaluation's is an upper bound.
        seconds: estimated work of one worker; None where this machine has not timed the network.
    """

    runs: list[RunGap] = field(default_factory=list)
    evaluations: list[EvaluationGap] = field(default_factory=list)
    evaluations_done: int = 0
    examinations: int = 0
    training: Passes = field(default_factory=Passes)
    evaluation: Passes = field(default_factory=Passes)
    seconds: float | None = 0.0

    @property
    def idle(self) -> bool:
        """Whether all is done: nothing to train, to attack, or to examine."""
        return not (self.to_train or self.evaluations or self.examinations)

    @property
    def to_train(self) -> list[RunGap]:
        """The networks that are not trained to their last epoch, and have not failed."""
        return [run for run in self.runs if not (run.trained or run.failed or run.refusal)]

    @property
    def refused(self) -> list[RunGap]:
        """The networks that cannot be trained, since a plugin of theirs breaks its contract."""
        return [run for run in self.runs if run.refusal]


def attempt_of(spec: RunSpec, store: Store, fresh: bool) -> tuple[int, RunRecord | None]:
    """Which attempt at a run counts now, and its record if there is one; ``fresh`` opens another."""
    newest = store.newest_attempt(spec.identity)
    if newest is None:
        return 1, None
    return (newest.attempt + 1, None) if fresh else (newest.attempt, newest)


def evaluation_gaps(job: RunJob, spec: RunSpec, record: RunRecord | None) -> Iterator[EvaluationGap]:
    """Every evaluation of a run that the job asks for, with the blocks that are missing (none where it is complete)."""
    for name in job.protocol.evaluation.checkpoints:
        checkpoint = record.checkpoint(name) if record is not None else None
        for gap in job.gaps(checkpoint.evaluations if checkpoint is not None else ()):
            yield EvaluationGap(gap.attack, gap.seed, gap.blocks, spec, name)


def make_plan(jobs: Sequence[RunJob], store: Store, *, fresh: bool = False) -> Plan:
    """Compare jobs with the store; nothing is written.

    Raises:
        PluginError: a training that was stopped would go on with other code.
    """
    plan = Plan()
    if not fresh:
        _refuse_changed_code([spec for job in jobs for spec in job.specs], store)
    for job in jobs:
        timed = timings_here(job, job.specs[0].network, job.specs[0].network_settings, store)
        passes: Passes | None = None
        refusal: PluginFault | None = None
        for spec in job.specs:
            attempt, record = attempt_of(spec, store, fresh)
            run = RunGap(spec, attempt, record, len(record.epochs) if record else 0)
            if not (run.trained or run.failed or passes or refusal):
                try:
                    threat = job.protocol.train.threat(job.protocol.epsilon)
                    passes = try_update(job.method, threat, job.wrappers, job.network, job.dataset.shape, job.device)
                except PluginFault as fault:
                    refusal = fault
            if refusal and not (run.trained or run.failed):
                run = replace(run, refusal=refusal)
            plan.runs.append(run)
            if run.failed or run.refusal:
                continue
            if passes is not None and not run.trained:
                epochs = checkpoint_epochs(job.protocol.train)["last"] - run.epochs_done
                whole = passes.times(epochs * len(job.dataset.train))
                plan.training = plan.training + whole
                plan.seconds = add_seconds(plan.seconds, timed.training(whole))
            for name in job.protocol.evaluation.checkpoints:
                if job.unexamined(record.checkpoint(name) if record is not None else None):
                    plan.examinations += 1
                    whole = rigour.passes(job.threat, job.dataset.shape[:3]).times(min(job.examples, rigour.EXAMPLES))
                    plan.evaluation = plan.evaluation + whole
                    plan.seconds = add_seconds(plan.seconds, timed.training(whole))
            for gap in evaluation_gaps(job, spec, record):
                if not gap.blocks:
                    plan.evaluations_done += 1
                    continue
                plan.evaluations.append(gap)
                attack = job.attacks[gap.attack]
                whole = (attack.passes(job.threat) + Passes(1, 0)).times(gap.images)
                plan.evaluation = plan.evaluation + whole
                plan.seconds = add_seconds(
                    plan.seconds, timed.attack(digest(job.attack_settings(gap.attack)), gap.images, whole)
                )
    return plan


def _refuse_changed_code(specs: Sequence[RunSpec], store: Store) -> None:
    """Refuse to leave a stopped training behind without a word, where it would have gone on but for an edit."""
    runs = store.runs()
    known = {run.identity for run in runs}
    wanted = {spec.identity_without_code: spec for spec in specs if spec.identity not in known}
    for run in runs if wanted else ():
        spec = wanted.get(run.spec.identity_without_code)
        if spec is not None and run.status == "running" and run.epochs:
            parts = sorted(key for key in {*spec.code, *run.code} if spec.code.get(key) != run.code.get(key))
            raise PluginError(
                f"run {run.id} ({spec.label}) was stopped after epoch {len(run.epochs)} of {spec.training['epochs']},"
                f" and the code of its {' and '.join(parts)} has changed since: put the old code back to go on,"
                " or start over with --fresh"
            )


def timings_here(assessment: Assessment, network: str, settings: dict[str, Any], store: Store) -> Timings:
    """What this machine's runs of a network, on images of this shape and this device, have taken."""
    shape = assessment.dataset.shape[:3]
    here = (network, settings, shape, host(), device_label(assessment.device))
    return timings((run for run in store.runs() if _place(run) == here), discover("methods", assessment.plugins))


def _place(run: RunRecord) -> tuple[object, ...]:
    shape = (run.dataset.channels, run.dataset.height, run.dataset.width)
    return run.network, run.network_settings, shape, run.provenance.get("host"), run.provenance.get("device")


def add_seconds(a: float | None, b: float | None) -> float | None:
    """The sum; None where a part of it is not known."""
    return None if a is None or b is None else a + b
