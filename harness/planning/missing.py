"""What is missing: the work that a command asks for, minus what the store has.

It is found once, and of the store's runs only those are read that were asked for. Then its cost is estimated, or the
work is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from harness.errors import PluginFault
from harness.planning.changed_code import changed_code
from harness.planning.evaluate_job import EvaluateJob
from harness.planning.gaps import ModelGap, model_gap
from harness.planning.named_networks import refuse_lost
from harness.planning.run_job import RunJob
from harness.planning.stored_times import timed_here
from harness.planning.trials import try_update
from harness.plugin.attack import Passes
from harness.protocols.run_spec import RunSpec
from harness.runtime.determinism import deterministic
from harness.runtime.device import present
from harness.store.models import model_identity
from harness.store.records import CheckpointRecord, ModelRecord, RunRecord
from harness.store.store import Store
from harness.store.timed_work import TimedRun
from harness.targets.probe import same_function
from harness.targets.target import Opened


@dataclass(frozen=True, kw_only=True)
class RunGap:
    """One network: what it is, which attempt counts, what is left to train, and what its checkpoints lack.

    Attributes:
        record: the store's record of the attempt; None if there is none.
        models: the checkpoints to attack; empty if the network cannot be trained.
        passes: the passes that one training image takes; None if nothing is left to train.
        refusal: why the network cannot be trained: a plugin broke its contract when it was tried; None if it can.
    """

    job: RunJob
    spec: RunSpec
    attempt: int
    record: RunRecord | None
    models: tuple[ModelGap, ...] = ()
    passes: Passes | None = None
    refusal: PluginFault | None = None

    @property
    def trained(self) -> bool:
        """Whether the training is done."""
        return self.record is not None and self.record.status == "done"

    @property
    def failed(self) -> bool:
        """Whether the training failed before. It would fail again, so only ``fresh`` repeats it."""
        return self.record is not None and self.record.status == "failed"

    @property
    def items(self) -> int:
        """How many items of work fill the gap."""
        return (self.passes is not None) + sum(model.items for model in self.models)

    @property
    def epochs_done(self) -> int:
        """How many epochs are trained."""
        return len(self.record.epochs) if self.record is not None else 0


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What there is to do.

    Attributes:
        runs: every network that was asked for, even if nothing is missing for it.
        targets: models that are only attacked, such as those of ``harness evaluate``.
        stored: what the store's runs of these networks took on this machine, from which costs are estimated; nothing
            if there is nothing to do.
        notes: what to say before the work begins, one line each.
    """

    runs: tuple[RunGap, ...] = ()
    targets: tuple[ModelGap, ...] = ()
    stored: Sequence[TimedRun] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    @property
    def models(self) -> list[ModelGap]:
        """Every model to attack, trained already or not."""
        return [*(model for run in self.runs for model in run.models), *self.targets]

    @property
    def to_train(self) -> list[RunGap]:
        """The networks that are not trained to their last epoch, and have not failed."""
        return [run for run in self.runs if run.passes is not None]

    @property
    def refused(self) -> list[RunGap]:
        """The networks that cannot be trained, since one of their plugins broke its contract."""
        return [run for run in self.runs if run.refusal]

    @property
    def complete(self) -> int:
        """How many evaluations that were asked for are complete in the store."""
        return sum(model.complete for model in self.models)

    @property
    def examinations(self) -> int:
        """How many models are to be examined for warning signs."""
        return sum(model.examine for model in self.models)

    @property
    def items(self) -> int:
        """How many items of work there are."""
        return sum(run.items for run in self.runs) + sum(model.items for model in self.targets)

    @property
    def idle(self) -> bool:
        """Whether all is done: nothing to train, to attack, or to examine."""
        return not self.items


def find_missing(jobs: Sequence[RunJob], store: Store, *, fresh: bool = False) -> Missing:
    """Compare jobs with the store; nothing is written.

    Args:
        fresh: whether every run begins again, as another attempt.
    Raises:
        PluginError: the code of a stopped training has changed.
        SettingError: a deterministic training is asked for, and torch has no such algorithm for it.
    """
    specs = [spec for job in jobs for spec in job.specs]
    notes = () if fresh else changed_code(specs, store)
    attempts = sorted(store.attempts({spec.identity for spec in specs}), key=lambda one: one.attempt)
    numbers = {one.identity: one.id for one in attempts}  # of each identity the newest
    newest = {run.identity: run for run in store.runs_of(numbers.values())}
    removed = store.removed_attempts()
    found = Missing(runs=tuple(run for job in jobs for run in _run_gaps(job, newest, removed, fresh)), notes=notes)
    return _with_times(found, store, {spec.network for spec in specs})


def _with_times(missing: Missing, store: Store, networks: Collection[str]) -> Missing:
    return missing if missing.idle else replace(missing, stored=timed_here(store, networks))


def _run_gaps(
    job: RunJob, newest: Mapping[str, RunRecord], removed: Mapping[str, int], fresh: bool
) -> Iterator[RunGap]:
    """The networks of one job. Its plugins are tried once, and only if there is something to train.

    Args:
        removed: the last attempts that were removed: a new attempt must not take up the files of one of these.
    """
    trial = cache(partial(_trial, job))
    lacking = cache(partial(_whole_gap, job))  # the same for all networks of the job: thousands share it
    if any((known := newest.get(spec.identity)) is None or known.status == "running" or fresh for spec in job.specs):
        refuse_lost(job.trained, job.plugins)
    for spec in job.specs:
        known = newest.get(spec.identity)
        record = None if fresh else known
        before = max(known.attempt if known is not None else 0, removed.get(spec.identity, 0))
        run = RunGap(job=job, spec=spec, attempt=before + 1 if record is None else record.attempt, record=record)
        if not run.failed:
            passes, refusal = (None, None) if run.trained else trial()
            names = () if refusal else job.protocol.evaluation.checkpoints
            there = {checkpoint.name: checkpoint for checkpoint in run.record.checkpoints} if run.record else {}
            network = (spec.network, spec.network_settings)
            gaps = (model_gap(job, name, network, there[name]) if name in there else lacking(name) for name in names)
            run = replace(run, models=tuple(gaps), passes=passes, refusal=refusal)
        yield run


def _whole_gap(job: RunJob, checkpoint: str) -> ModelGap:
    """What a checkpoint lacks that the store does not have."""
    first = job.specs[0]
    return model_gap(job, checkpoint, (first.network, first.network_settings), None)


def _trial(job: RunJob) -> tuple[Passes | None, PluginFault | None]:
    """The passes that one training image takes, or why nothing can be trained."""
    threat, device = job.protocol.train.threat(job.protocol.epsilon), present(job.device)
    try:
        with deterministic(device, wanted=job.deterministic):
            return try_update(job.method, threat, job.wrappers, job.network, job.dataset.shape, device), None
    except PluginFault as fault:
        return None, fault


def missing_of_target(job: EvaluateJob, known: Mapping[str, CheckpointRecord], store: Store) -> Missing:
    """Compare what ``harness evaluate`` asks for with what the store has for these weights, by checkpoint."""
    of = job.run or job.opened
    assert of is not None  # a target is one or the other
    network, names = (of.network, of.network_settings), [weights.checkpoint for weights in job.weights]
    each = job.sweep or (job.assessment,)
    gaps = [model_gap(one, name, network, known.get(name), fresh=job.fresh) for name in names for one in each]
    return _with_times(Missing(targets=tuple(gaps)), store, [of.network])


def find_missing_of_target(job: EvaluateJob, store: Store) -> Missing:
    """What ``harness evaluate`` would do. A model from elsewhere is looked up, and nothing is written.

    Raises:
        HarnessError: weights to attack cannot be used.
    """
    dataset = job.assessment.dataset.fingerprint
    model = known_model(job.opened, dataset, store)[1] if job.opened is not None else None
    missing = missing_of_target(job, known_checkpoints(job, model, store), store)
    attacked = {gap.checkpoint for gap in missing.targets if gap.attacks}
    for weights in job.weights:
        if weights.checkpoint in attacked:
            weights.check(job.assessment.plugins)
    return missing


def known_checkpoints(job: EvaluateJob, model: ModelRecord | None, store: Store) -> dict[str, CheckpointRecord]:
    """What the store has now for a target's weights, by checkpoint.

    Args:
        model: the store's record of a target from elsewhere; None if it has none.
    """
    if job.run is not None:
        return {checkpoint.name: checkpoint for checkpoint in store.run(job.run.id).checkpoints}
    return {} if model is None else {model.checkpoint.name: store.checkpoint(model.checkpoint.id)}


def known_model(opened: Opened, dataset_fingerprint: str, store: Store) -> tuple[int, ModelRecord | None]:
    """Find a model among the stored models with the same weights: the one with the same probe, or none.

    Equal weights may be several functions, since a user's code may read other things; the store numbers them. A row of
    an older version has no probe: it is the same model only if no code of the user decides what the model computes.

    Returns:
        The function's number, counted from 1; and the model, if the store has it.
    """
    models = {model.identity: model for model in store.models()}
    number = 1
    while (model := models.get(model_identity(opened.sha256, dataset_fingerprint, number))) is not None:
        known = model.probe
        if same_function(known, opened.probe) if known and opened.probe else not opened.target.code():
            break
        number += 1
    return number, model
