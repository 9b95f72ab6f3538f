"""What work costs: passes through the network, and seconds, from what this machine has timed before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from harness.identity import digest
from harness.planning.assessment import Assessment
from harness.planning.missing import Missing
from harness.planning.passes import training_passes
from harness.plugin.attack import Passes
from harness.plugin.method import Method
from harness.plugin.settings import Plugin
from harness.protocols.protocol import TrainProtocol
from harness.registry.catalogue import Catalogue, discover
from harness.rigour import budgets as rigour
from harness.runtime.device import device_label
from harness.runtime.provenance import ALSO, host
from harness.store.records import RunRecord
from harness.training.loop import checkpoint_epochs


@dataclass(frozen=True)
class Estimate:
    """What the missing work costs.

    Attributes:
        training, evaluation: passes through the network, summed over images; the evaluation's is an upper bound.
        seconds: the work of one worker; None where this machine has not timed the network.
    """

    training: Passes
    evaluation: Passes
    seconds: float | None


def estimate(missing: Missing) -> Estimate:
    """Cost what is missing; the store is not asked again."""
    training, evaluation = Passes(), Passes()
    seconds: list[float | None] = []
    known: dict[str, Timings] = {}

    def timed(network: str, settings: Mapping[str, Any], assessment: Assessment) -> Timings:
        key = digest([network, settings, assessment.dataset.fingerprint])
        if key not in known:
            known[key] = _timings(missing.stored, network, settings, assessment)
        return known[key]

    for run in missing.to_train:
        assert run.passes is not None  # on trial
        epochs = checkpoint_epochs(run.job.protocol.train)["last"] - run.epochs_done
        whole = run.passes.times(epochs * len(run.job.dataset.train))
        training = training + whole
        seconds.append(timed(run.spec.network, run.spec.network_settings, run.job).training(whole))
    for model in (model for model in missing.models if model.items):
        assessment = model.assessment
        here = timed(model.network, model.network_settings, assessment)
        if model.examine:
            whole = rigour.passes(assessment.threat, assessment.dataset.shape[:3]).times(
                min(assessment.examples, rigour.EXAMPLES)
            )
            evaluation = evaluation + whole
            seconds.append(here.training(whole))
        for gap in model.attacks:
            whole = (assessment.attacks[gap.attack].passes(assessment.threat) + Passes(1, 0)).times(gap.images)
            evaluation = evaluation + whole
            seconds.append(here.attack(digest(assessment.attack_settings(gap.attack)), gap.images, whole))
    timed_s = [part for part in seconds if part is not None]
    return Estimate(training, evaluation, sum(timed_s, 0.0) if len(timed_s) == len(seconds) else None)


@dataclass(frozen=True)
class Timings:
    """Seconds that one image took on this machine, on one network; None where it was never timed."""

    training_pass: float | None  # a forward or a backward pass of the training
    attacks: dict[str, float]  # a whole attack on one image, by the SHA-256 of its settings

    def training(self, passes: Passes) -> float | None:
        """Seconds of one worker for that many training passes."""
        return None if self.training_pass is None else self.training_pass * passes.total

    def attack(self, settings_sha256: str, images: int, passes: Passes) -> float | None:
        """Seconds of one worker for an attack: as timed, or else by its passes, which is an upper bound."""
        if settings_sha256 in self.attacks:
            return images * self.attacks[settings_sha256]
        return self.training(passes)


def timings(runs: Iterable[RunRecord], methods: Catalogue) -> Timings:
    """Read the timings of a network off runs of it on this machine, whatever their methods."""
    seconds = images = 0.0
    spent: dict[str, tuple[float, int]] = {}
    for run in runs:
        if run.method in methods.found and run.epochs and not run.wrappers:
            passes = _passes_of(run, methods.found[run.method].cls)
            if passes.total:
                seconds += sum(epoch.duration_s for epoch in run.epochs)
                images += sum(epoch.images for epoch in run.epochs) * passes.total
        for evaluation in (e for checkpoint in run.checkpoints for e in checkpoint.evaluations):
            before = spent.get(evaluation.settings_sha256, (0.0, 0))
            spent[evaluation.settings_sha256] = (before[0] + evaluation.duration_s, before[1] + evaluation.done)
    attacks = {settings: total / done for settings, (total, done) in spent.items() if done}
    return Timings(seconds / images if images else None, attacks)


def _timings(stored: Iterable[RunRecord], network: str, settings: Mapping[str, Any], assessment: Assessment) -> Timings:
    """What this machine and this device took for the network, on images of this shape."""
    shape, here = assessment.dataset.shape, (host(), device_label(assessment.device))
    alike = (
        run
        for run in stored
        if (run.network, run.network_settings) == (network, settings)
        and (run.dataset.channels, run.dataset.height, run.dataset.width) == tuple(shape[:3])
    )
    return timings((_part_done(run, here) for run in alike), discover("methods", assessment.plugins))


def _part_done(run: RunRecord, here: tuple[str, str]) -> RunRecord:
    """A run without what was done elsewhere, or partly elsewhere."""

    def timed_here(provenance: Mapping[str, Any]) -> bool:
        return (provenance.get("host"), provenance.get("device")) == here and ALSO not in provenance

    checkpoints = (
        replace(checkpoint, evaluations=tuple(e for e in checkpoint.evaluations if timed_here(e.provenance)))
        for checkpoint in run.checkpoints
    )
    return replace(run, epochs=run.epochs if timed_here(run.provenance) else (), checkpoints=tuple(checkpoints))


def _passes_of(run: RunRecord, cls: type[Plugin]) -> Passes:
    """What an image of an old run took; nothing, so that the run does not count, where its method has changed since."""
    training = dict(run.training)
    epsilon = float(training.pop("epsilon"))
    try:
        method = cast(Method, cls.from_mapping(run.method_settings))
        return training_passes(method, TrainProtocol.from_mapping(training).threat(epsilon))
    except Exception:
        return Passes()
