"""What stored runs took on this machine: seconds of a training pass, and of an attack on an image."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from harness.planning.trials import training_passes
from harness.plugin.attack import Passes
from harness.plugin.method import Method
from harness.plugin.network import Shape
from harness.plugin.settings import Plugin
from harness.protocols.train_protocol import TrainProtocol
from harness.registry.catalogue import Catalogue
from harness.registry.shipped import ships
from harness.runtime.provenance import host
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.store.timed_work import TimedRun
from harness.training.run_plugins import method_of, network_of, wrappers_of


@dataclass(frozen=True)
class Timings:
    """Seconds that one image took on this machine, on one network; None if never timed."""

    training_pass: float | None  # a forward or a backward pass of the training
    attacks: dict[str, float]  # a whole attack on one image, by the SHA-256 of its settings

    def training(self, passes: Passes) -> float | None:
        """Seconds of one worker for that many training passes."""
        return None if self.training_pass is None else self.training_pass * passes.total

    def attack(self, settings_sha256: str, images: int) -> float | None:
        """Seconds of one worker for an attack, as timed before."""
        return images * self.attacks[settings_sha256] if settings_sha256 in self.attacks else None


def timed_here(store: Store, networks: Collection[str]) -> list[TimedRun]:
    """The store's runs of these networks, with the times of what was done on this machine."""
    name = host()
    return store.timed_runs(networks, lambda provenance: provenance.get("host") == name)


def timings(
    runs: Iterable[TimedRun],
    methods: Catalogue,
    counts: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    precision: str | None = None,
) -> Timings:
    """Work out a network's timings from its runs, whatever their methods.

    Args:
        counts: whether work of this provenance was done on this machine.
        precision: of the trainings that count; None: any. Attacks compute in float32, so all of them count.
    """
    seconds = images = 0.0
    spent: dict[str, tuple[float, int]] = {}
    for run in runs:
        alike = counts(run.provenance) and precision in (None, run.training.get("precision"))
        epochs, trained_on, took_s = run.trained
        if alike and run.method in methods.found and epochs and not run.wrappers:
            passes = _passes_of(run, methods.found[run.method].cls)
            if passes.total:
                seconds += took_s
                images += trained_on * passes.total
        for attack in (attack for attack in run.attacks if counts(attack.provenance)):
            before = spent.get(attack.settings_sha256, (0.0, 0))
            spent[attack.settings_sha256] = (before[0] + attack.duration_s, before[1] + attack.done)
    attacks = {settings: total / done for settings, (total, done) in spent.items() if done}
    return Timings(seconds / images if images else None, attacks)


def _passes_of(run: TimedRun, cls: type[Plugin]) -> Passes:
    """The passes that an image of an old run took; none if its method has changed since, so the run does not count."""
    training = dict(run.training)
    epsilon = float(training.pop("epsilon"))
    try:
        method = cast(Method, cls.from_mapping(run.method_settings))
        return training_passes(method, TrainProtocol.from_mapping(training).threat(epsilon))
    except Exception:
        return Passes()


def passes_of_run(run: RunRecord, plugins: tuple[Path, ...] = ()) -> Passes:
    """The passes that one image of the run takes in one epoch, counted as by ``training_passes``.

    Raises:
        UnknownName, PluginError: a plugin is missing, is broken, or its code has changed since the run.
    """
    spec, training = run.spec, dict(run.training)
    epsilon = float(training.pop("epsilon"))
    threat = TrainProtocol.from_mapping(training).threat(epsilon)
    method, wrappers = method_of(spec, plugins), wrappers_of(spec, plugins)
    if ships(type(method)):
        return training_passes(method, threat, wrappers)
    d = run.dataset  # a user's method may look into the network
    shape = Shape(channels=d.channels, height=d.height, width=d.width, classes=d.classes)
    return training_passes(method, threat, wrappers, network_of(spec, plugins), shape)
