"""What work costs: passes through the network, and seconds, estimated from what was timed on this machine before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.identity import digest
from harness.planning.assessment import Assessment
from harness.planning.gaps import ModelGap
from harness.planning.measured_times import Bench, Timed, matching, read_benches
from harness.planning.missing import Missing, RunGap
from harness.planning.stored_times import Timings, timings
from harness.plugin.attack import Passes
from harness.registry.catalogue import discover
from harness.rigour import budgets as rigour
from harness.runtime.device import device_label, training_threads
from harness.runtime.provenance import ALSO, host, path_of
from harness.store.timed_work import TimedRun
from harness.training.schedule import checkpoint_epochs
from harness.training.validation import validation_passes

STORED, STORED_PASSES = "stored runs", "passes, and stored runs"
BENCH, BENCH_PASSES = "harness bench", "passes, and harness bench"
"""Where an estimate comes from. By its passes it is an upper bound: an attack may stop early."""

Seconds = tuple[float, str]  # of one worker, and where they come from


@dataclass(frozen=True)
class Estimate:
    """What the missing work costs.

    Attributes:
        training, evaluation: passes through the network, summed over images; ``evaluation`` is an upper bound.
        seconds: for one worker; None if this machine has not timed the network.
        alone: how many of these seconds all cores work on one network, so that more workers do not shorten them.
        origins: ``training``, ``checks``, or an attack -> where its seconds come from.
        benched: the days of the benches among them.
    """

    training: Passes
    evaluation: Passes
    seconds: float | None
    alone: float = 0.0
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    benched: tuple[str, ...] = ()

    def wall_s(self, workers: int) -> float | None:
        """Seconds of so many workers side by side; None if unknown."""
        return None if self.seconds is None else self.alone + (self.seconds - self.alone) / workers


class _Sum:
    """Adds up seconds, and where they come from."""

    def __init__(self) -> None:
        self.known: list[float | None] = []
        self.origins: dict[str, dict[str, None]] = defaultdict(dict)

    def add(self, part: str, seconds: Seconds | None) -> float:
        self.known.append(None if seconds is None else seconds[0])
        if seconds is not None:
            self.origins[part][seconds[1]] = None
        return 0.0 if seconds is None else seconds[0]


def estimate(missing: Missing, benches: Sequence[Bench] | None = None) -> Estimate:
    """Estimate the cost of the missing work, without another look at the store.

    Args:
        benches: of ``harness bench``; None: those of this user. What the store's runs took counts before them.
    """
    prices = Prices(missing.stored, benches)
    training, evaluation, total, alone = Passes(), Passes(), _Sum(), 0.0
    for run in missing.to_train:
        price = prices.training(run)
        training = training + price.passes
        seconds = total.add("training", price.seconds)
        all_cores = training_threads(run.job.parameters, run.job.device) > 1
        alone += seconds if all_cores or len(run.job.devices) > 1 else 0.0
    for model in (model for model in missing.models if model.items):
        if model.examine:
            price = prices.checks(model)
            evaluation = evaluation + price.passes
            total.add("checks", price.seconds)
        for gap in model.attacks:
            price = prices.attack(model, gap.attack, gap.images)
            evaluation = evaluation + price.passes
            total.add(gap.attack, price.seconds)
    timed_s = [part for part in total.known if part is not None]
    benched = any(origin in (BENCH, BENCH_PASSES) for origins in total.origins.values() for origin in origins)
    return Estimate(
        training,
        evaluation,
        sum(timed_s, 0.0) if len(timed_s) == len(total.known) else None,
        alone,
        {part: tuple(origins) for part, origins in total.origins.items()},
        tuple(sorted({date for here in prices.known for date in here.dates})) if benched else (),
    )


@dataclass(frozen=True)
class Price:
    """What some work takes.

    Attributes:
        images: how many, counted once for each epoch of a training.
        passes: summed over the images; of an attack, the most that it takes.
        seconds: of one worker, and where they come from; None if this machine has not timed the network.
    """

    images: int
    passes: Passes
    seconds: Seconds | None


class Prices:
    """What the parts of some missing work take on this machine.

    Args:
        stored: the store's runs; what these took counts first.
        benches: of ``harness bench``; None: those of this user.
    """

    def __init__(self, stored: Sequence[TimedRun], benches: Sequence[Bench] | None = None) -> None:
        self._stored, self._benches = stored, read_benches() if benches is None else benches
        self._known: dict[str, Known] = {}
        self._subjects: dict[tuple[int, str, int], _Subject] = {}

    @property
    def known(self) -> Iterable[Known]:
        """What was known of each network that was asked for."""
        return self._known.values()

    def training(self, run: RunGap) -> Price:
        """The missing epochs of a run that is to be trained."""
        assert run.passes is not None  # counted when its plugins were tried
        subject = self._of((run.spec.network, run.spec.network_settings), run.job)
        key = ("training", run.spec.method, run.epochs_done, run.passes)
        if key not in subject.prices:
            epochs = checkpoint_epochs(run.job.protocol.train)["last"] - run.epochs_done
            data, protocol = run.job.dataset, run.job.protocol.train
            trained_on = len(data.train) - protocol.validation
            images = epochs * trained_on
            whole = run.passes.times(images) + validation_passes(protocol).times(epochs * protocol.validation)
            if run.job.curve is not None:
                whole = whole + run.job.curve.passes_after(run.epochs_done, (len(data.test), trained_on))
            subject.prices[key] = Price(images, whole, subject.known.training(run, whole))
        return subject.prices[key]

    def checks(self, model: ModelGap) -> Price:
        """The checks of rigour on a model."""
        subject, assessment = self._of(model.network, model.assessment), model.assessment
        if ("checks",) not in subject.prices:
            images = min(assessment.examples, rigour.EXAMPLES)
            whole = rigour.passes_at_most(assessment.threat, assessment.dataset.shape[:3], images)
            subject.prices["checks",] = Price(images, whole, subject.known.checks(whole))
        return subject.prices["checks",]

    def attack(self, model: ModelGap, attack: str, images: int) -> Price:
        """An attack with one seed on so many images of a model."""
        subject, assessment = self._of(model.network, model.assessment), model.assessment
        key = ("attack", attack, images)
        if key not in subject.prices:
            whole = (assessment.attacks[attack].passes(assessment.threat) + Passes(1, 0)).times(images)
            seconds = subject.known.attack(attack, assessment.attack_digest(attack), images, whole)
            subject.prices[key] = Price(images, whole, seconds)
        return subject.prices[key]

    def alike(self, model: ModelGap, attack: str) -> str:
        """Equal for blocks that take equally long an image: one attack with its settings, on one kind of network."""
        names, assessment = self._of(model.network, model.assessment).names, model.assessment
        if attack not in names:
            names[attack] = digest([*model.network, attack, assessment.attack_settings(attack)])
        return names[attack]

    def _of(self, network: tuple[str, Mapping[str, Any]], assessment: Assessment) -> _Subject:
        place = id(assessment), network[0], id(network[1])
        subject = self._subjects.get(place)
        if subject is None:
            precision = assessment.protocol.train.precision
            key = digest([*network, assessment.dataset.fingerprint, precision, assessment.plain])
            if key not in self._known:
                self._known[key] = _known(self._stored, self._benches, network, assessment)
            subject = self._subjects[place] = _Subject((assessment, network), self._known[key])
        return subject


@dataclass(frozen=True)
class _Subject:
    """One network under one assessment: thousands of items have a few prices among them, so each is found once."""

    kept: tuple[object, ...]  # the parts by whose ids it is found, so that no others get these ids
    known: Known
    prices: dict[tuple[Any, ...], Price] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # attack -> as ``Prices.alike`` gives it


@dataclass(frozen=True)
class Known:
    """What is known of one network on this machine: from stored runs first, else from ``harness bench``.

    Attributes:
        bench: of the training's precision.
        attacked: of any precision, since attacks compute in float32.
        precision: of the stored trainings.
    """

    stored: Timings
    bench: Bench | None = None
    attacked: Bench | None = None
    precision: str = "float32"

    @property
    def dates(self) -> set[str]:
        """The days on which the benches were made."""
        return {bench.date for bench in (self.bench, self.attacked) if bench is not None}

    def training(self, run: RunGap, passes: Passes) -> Seconds | None:
        """Seconds for the missing training of a run, of that many passes in all."""
        seconds = self.stored.training(passes)
        if seconds is not None:
            return seconds, STORED
        if self.bench is None or not self.bench.training:
            return None
        own = self.bench.training.get(run.spec.method)
        if own is not None and run.passes == own.passes:
            return _per_pass([own]) * passes.total, BENCH if own.measured else BENCH_PASSES
        # other settings, wrappers, or a method of the user's: as long a pass as in the method of the most like passes
        return _per_pass([own] if own is not None else self.bench.training.values()) * passes.total, BENCH_PASSES

    def attack(self, name: str, settings_sha256: str, images: int, passes: Passes) -> Seconds | None:
        """Seconds for an attack on so many images, of at most that many passes in all."""
        seconds = self.stored.attack(settings_sha256, images)
        if seconds is not None:
            return seconds, STORED
        own = self.attacked.attacks.get(name) if self.attacked is not None else None
        if own is not None:  # by its passes, since their number depends on the protocol
            return _per_pass([own]) * passes.total, BENCH if own.measured else BENCH_PASSES
        return self.checks(passes)

    def checks(self, passes: Passes) -> Seconds | None:
        """Seconds for passes of an evaluation: by a stored training, else by the attacks of the bench.

        The bench goes first where the training was in another precision, whose passes take another time.
        """
        benched = self.attacked is not None and bool(self.attacked.attacks)
        seconds = self.stored.training(passes)
        if seconds is not None and not (benched and self.precision != "float32"):
            return seconds, STORED_PASSES
        if self.attacked is None or not benched:
            return None
        mixed = [timed for timed in self.attacked.attacks.values() if timed.passes.backward]
        return _per_pass(mixed or self.attacked.attacks.values()) * passes.total, BENCH_PASSES


def _per_pass(several: Iterable[Timed]) -> float:
    """Seconds of a pass, forward or backward, over some methods or attacks; each counts as much as another."""
    each = [timed.seconds / timed.passes.total for timed in several]
    return sum(each) / len(each)


def _known(
    stored: Iterable[TimedRun],
    benches: Sequence[Bench],
    network: tuple[str, Mapping[str, Any]],
    assessment: Assessment,
) -> Known:
    """How long this machine and this device took for the network, on images of this shape."""
    shape, here = assessment.dataset.shape, (host(), device_label(assessment.device))
    alike = (
        run
        for run in stored
        if (run.network, run.network_settings) == network
        and (run.dataset.channels, run.dataset.height, run.dataset.width) == tuple(shape[:3])
    )

    path = path_of(assessment.plain)

    def whole_here(provenance: Mapping[str, Any]) -> bool:
        """Whether no part of the work was done on another machine or device, or, as far as is known, another path.

        A training on several devices together tells nothing of one; what it takes is told by one, and so is the most.
        """
        at = (provenance.get("host"), provenance.get("device"))
        alike = at == here and provenance.get("path", path) == path and ALSO not in provenance
        return alike and provenance.get("devices", 1) == 1

    def bench(precision: str | None) -> Bench | None:
        place = {"host": here[0], "device": here[1], "network": network, "image": shape[:3]}
        return matching(benches, **place, plain=assessment.plain, precision=precision)  # type: ignore[arg-type]

    precision = assessment.protocol.train.precision
    of_runs = timings(alike, discover("methods", assessment.plugins), whole_here, precision)
    return Known(of_runs, bench(precision), bench(None), precision)
