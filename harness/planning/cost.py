"""What work costs: passes through the network, and seconds, from what this machine has timed before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from harness.planning.passes import training_passes
from harness.plugin.attack import Passes
from harness.plugin.method import Method
from harness.plugin.settings import Plugin
from harness.protocols.protocol import TrainProtocol
from harness.registry.catalogue import Catalogue
from harness.store.records import RunRecord


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


def _passes_of(run: RunRecord, cls: type[Plugin]) -> Passes:
    """What an image of an old run took; nothing, so that the run does not count, where its method has changed since."""
    training = dict(run.training)
    epsilon = float(training.pop("epsilon"))
    try:
        method = cast(Method, cls.from_mapping(run.method_settings))
        return training_passes(method, TrainProtocol.from_mapping(training).threat(epsilon))
    except Exception:
        return Passes()
