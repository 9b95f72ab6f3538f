"""What work costs: passes through the network, and seconds, estimated from earlier work on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from harness.identity import digest
from harness.planning.assessment import Assessment
from harness.planning.missing import Missing
from harness.planning.trials import training_passes
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
        training, evaluation: passes through the network, summed over images; ``evaluation`` is an upper bound.
        seconds: for one worker; None if this machine has not timed the network.
    """

    training: Passes
    evaluation: Passes
    seconds: float | None


def estimate(missing: Missing) -> Estimate:
    """Estimate the cost of the missing work, without another look at the store."""
    training, evaluation = Passes(), Passes()
    seconds: list[float | None] = []
    known: dict[str, Timings] = {}

    def timed(network: tuple[str, Mapping[str, Any]], assessment: Assessment) -> Timings:
        key = digest([*network, assessment.dataset.fingerprint])
        if key not in known:
            known[key] = _timings(missing.stored, network, assessment)
        return known[key]

    for run in missing.to_train:
        assert run.passes is not None  # counted when its plugins were tried
        epochs = checkpoint_epochs(run.job.protocol.train)["last"] - run.epochs_done
        whole = run.passes.times(epochs * len(run.job.dataset.train))
        training = training + whole
        seconds.append(timed((run.spec.network, run.spec.network_settings), run.job).training(whole))
    for model in (model for model in missing.models if model.items):
        assessment = model.assessment
        here = timed(model.network, assessment)
        if model.examine:
            images = min(assessment.examples, rigour.EXAMPLES)
            whole = rigour.passes(assessment.threat, assessment.dataset.shape[:3]).times(images)
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
    """Seconds that one image took on this machine, on one network; None if never timed."""

    training_pass: float | None  # a forward or a backward pass of the training
    attacks: dict[str, float]  # a whole attack on one image, by the SHA-256 of its settings

    def training(self, passes: Passes) -> float | None:
        """Seconds of one worker for that many training passes."""
        return None if self.training_pass is None else self.training_pass * passes.total

    def attack(self, settings_sha256: str, images: int, passes: Passes) -> float | None:
        """Seconds of one worker for an attack, as timed before; else from its passes, which is an upper bound."""
        if settings_sha256 in self.attacks:
            return images * self.attacks[settings_sha256]
        return self.training(passes)


def timings(
    runs: Iterable[RunRecord], methods: Catalogue, counts: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> Timings:
    """Work out a network's timings from its runs, whatever their methods.

    Args:
        counts: whether work of this provenance was done on this machine.
    """
    seconds = images = 0.0
    spent: dict[str, tuple[float, int]] = {}
    for run in runs:
        if counts(run.provenance) and run.method in methods.found and run.epochs and not run.wrappers:
            passes = _passes_of(run, methods.found[run.method].cls)
            if passes.total:
                seconds += sum(epoch.duration_s for epoch in run.epochs)
                images += sum(epoch.images for epoch in run.epochs) * passes.total
        for evaluation in (e for c in run.checkpoints for e in c.evaluations if counts(e.provenance)):
            before = spent.get(evaluation.settings_sha256, (0.0, 0))
            spent[evaluation.settings_sha256] = (before[0] + evaluation.duration_s, before[1] + evaluation.done)
    attacks = {settings: total / done for settings, (total, done) in spent.items() if done}
    return Timings(seconds / images if images else None, attacks)


def _timings(stored: Iterable[RunRecord], network: tuple[str, Mapping[str, Any]], assessment: Assessment) -> Timings:
    """How long this machine and this device took for the network, on images of this shape."""
    shape, here = assessment.dataset.shape, (host(), device_label(assessment.device))
    alike = (
        run
        for run in stored
        if (run.network, run.network_settings) == network
        and (run.dataset.channels, run.dataset.height, run.dataset.width) == tuple(shape[:3])
    )

    def whole_here(provenance: Mapping[str, Any]) -> bool:
        """Whether no part of the work was done on another machine or device."""
        return (provenance.get("host"), provenance.get("device")) == here and ALSO not in provenance

    return timings(alike, discover("methods", assessment.plugins), whole_here)


def _passes_of(run: RunRecord, cls: type[Plugin]) -> Passes:
    """The passes that an image of an old run took; none if its method has changed since, so the run does not count."""
    training = dict(run.training)
    epsilon = float(training.pop("epsilon"))
    try:
        method = cast(Method, cls.from_mapping(run.method_settings))
        return training_passes(method, TrainProtocol.from_mapping(training).threat(epsilon))
    except Exception:
        return Passes()
