"""Which training seeds of a row failed: k of n, and why.

A seed failed if its network collapsed (accuracy at chance, or a class left behind), or if its training ended without a
network. It is decided from what is stored: accuracies, findings of the checks of rigour, and how runs ended.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.errors import legible
from harness.identity import canonical_json
from harness.leaderboard.columns import Column
from harness.leaderboard.contestants import Contestant, Trained, kin_at, kin_of, trained_by
from harness.protocols.run_spec import TRIAL_SEED
from harness.statistics.collapse import at_chance, chance, clear_of_chance, collapsed_under
from harness.statistics.exact_bounds import exact_interval
from harness.statistics.figures import Interval
from harness.store.records import RunRecord
from harness.store.scope import Scope
from harness.store.verdicts import VerdictsById

How = Literal["at chance", "class left behind", "training failed"]
AT_CHANCE: How = "at chance"
LEFT_BEHIND: How = "class left behind"
NOT_TRAINED: How = "training failed"

NATURAL = "natural"  # the attack that leaves images as they are
LEFT, CROWDED = "class-left-behind", "class-collapse"  # the checks of rigour that see classes

Rights = Mapping[int, float]
"""Network, by its place in a row -> images right, the median over attack seeds."""


@dataclass(frozen=True)
class FailedSeed:
    """A training seed that failed.

    Attributes:
        run: its number; None of a publication's network.
        reason: what was seen, in a phrase.
    """

    train_seed: int
    run: int | None
    how: How
    reason: str


@dataclass(frozen=True)
class FailedSeeds:
    """The training seeds of a row that failed, of all that ended: in a network that was attacked, or in a failure.

    Attributes:
        seeds: those that failed, in their order.
        of: how many ended.
        figures: column -> the figure of each network in percent, by training seed; empty if no network failed.
    """

    seeds: tuple[FailedSeed, ...]
    of: int
    figures: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many failed."""
        return len(self.seeds)

    @property
    def interval(self) -> Interval:
        """The exact 95 % interval of the rate of failure, in percent; the unit is the training seed."""
        return exact_interval(self.count, self.of)

    @property
    def spoils_means(self) -> bool:
        """Whether a network is at chance, so that mean and deviation over the row's networks describe none of them."""
        return any(seed.how == AT_CHANCE for seed in self.seeds)

    @property
    def of_networks(self) -> tuple[FailedSeed, ...]:
        """The failed seeds that have a network: those that a mean would take in."""
        return tuple(seed for seed in self.seeds if seed.how != NOT_TRAINED)


class FailedTrainings:
    """The runs of a store whose training failed, to be found beside the networks of their row."""

    def __init__(self, runs: Iterable[RunRecord] = ()) -> None:
        """Take the runs as ``Store.failed_trainings`` gives them. Trials of ``harness tune`` are left out."""
        self._runs = [run for run in runs if run.train_seed != TRIAL_SEED]
        self._known: dict[tuple[object, ...], dict[str, list[RunRecord]]] = {}

    def beside(self, network: Contestant) -> list[RunRecord]:
        """The runs that differ from the network's in the training seed alone."""
        if not self._runs or network.number is None:
            return []
        checkpoint = network.checkpoint
        place = (network.dataset.fingerprint, network.training_sha256, checkpoint.name, checkpoint.epoch)
        if place not in self._known:
            found: dict[str, list[RunRecord]] = {}
            for run in self._runs:
                if (run.dataset.fingerprint, run.training_sha256) == place[:2]:
                    kin = kin_at(canonical_json(kin_of(run)), checkpoint.name, checkpoint.epoch)
                    found.setdefault(kin, []).append(run)
            self._known[place] = found
        return self._known[place].get(network.kin, [])

    def alone(self, networks: Iterable[Contestant]) -> list[RowlessMethod]:
        """The methods of which no network was trained: each training of theirs failed.

        Args:
            networks: every network of the store, attacked or not.
        """
        if not self._runs:
            return []
        with_networks = {run.id for network in networks for run in self.beside(network)}
        found: dict[tuple[str, str, str], list[RunRecord]] = {}
        for run in self._runs:
            if run.id not in with_networks:
                key = (run.dataset.fingerprint, run.training_sha256, canonical_json(kin_of(run)))
                found.setdefault(key, []).append(run)
        return [RowlessMethod.of(runs) for runs in found.values()]


@dataclass(frozen=True)
class RowlessMethod:
    """A method that has no row on its board, since each training of it failed."""

    trained: Trained
    dataset: str  # its fingerprint
    training_sha256: str
    failed: FailedSeeds

    @classmethod
    def of(cls, runs: Sequence[RunRecord]) -> RowlessMethod:
        """Take the runs that differ in their training seed alone."""
        one, runs = runs[0], sorted(runs, key=lambda run: run.train_seed)
        seeds = tuple(FailedSeed(run.train_seed, run.id, NOT_TRAINED, run.failure or "") for run in runs)
        return cls(trained_by(one), one.dataset.fingerprint, one.training_sha256, FailedSeeds(seeds, len(seeds)))


def failed_seeds(
    networks: Sequence[Contestant],
    column: Column,
    raised: Collection[str],
    scope: Scope | None,
    trainings: FailedTrainings,
) -> FailedSeeds | None:
    """The training seeds of a row that failed, without the figures; None for a model from elsewhere.

    Args:
        networks: of the row.
        column: the worst case of the board, which knows its attacks and images.
        raised: the checks of rigour that are flagged on a network of the row.
        scope: what the checks examined; None: no findings count.
    """
    trained = [network for network in networks if network.train_seed is not None and network.number is not None]
    if not trained:
        return None
    trained.sort(key=lambda network: network.train_seed or 0)
    seeds = [network.train_seed or 0 for network in trained]
    classes, images = trained[0].dataset.classes, column.examples
    rights = {attack: dict(_rights(trained, column, attack)) for attack in column.attacks}
    reasons = reasons_at_chance(rights, images, classes, seeds)
    seen = scope is not None and not {LEFT, CROWDED}.isdisjoint(raised)
    failed = []
    for place, network in enumerate(trained):
        flagged = network.checkpoint.raised(scope) or () if seen and scope is not None else ()
        found = {flag.check: flag.reason.rpartition(": ")[0] or flag.reason for flag in flagged}  # without the advice
        why, natural = reasons.get(place), rights.get(NATURAL, {}).get(place)
        if CROWDED in found and natural is not None and not clear_of_chance(natural, images, classes):
            why = why or found[CROWDED]
        how, reason = (AT_CHANCE, why) if why is not None else (LEFT_BEHIND, found.get(LEFT))
        if reason is not None:
            failed.append(FailedSeed(seeds[place], network.number, how, reason))
    gone = [run for run in trainings.beside(trained[0]) if run.train_seed not in seeds]
    failed += [FailedSeed(run.train_seed, run.id, NOT_TRAINED, run.failure or "") for run in gone]
    return FailedSeeds(tuple(sorted(failed, key=lambda seed: seed.train_seed)), len(trained) + len(gone))


def _rights(networks: Sequence[Contestant], column: Column, attack: str) -> Iterator[tuple[int, float]]:
    for place, network in enumerate(networks):
        evaluations = column.evaluations(network)[attack]
        if len(evaluations) == 1:  # a board of ten thousand networks is soon shown
            yield place, evaluations[0].correct
        elif evaluations:
            yield place, statistics.median(e.correct for e in evaluations)


def with_figures(
    failed: FailedSeeds | None, networks: Sequence[Contestant], column: Column, verdicts: VerdictsById
) -> FailedSeeds | None:
    """The failed seeds with the figures of every network, if a network failed: medians, and the worst case.

    Args:
        networks, column: as for ``failed_seeds``.
    """
    if failed is None or not failed.of_networks:
        return failed
    figures: dict[str, dict[int, float]] = {}
    for network in sorted(networks, key=lambda network: network.train_seed or 0):
        held, seed = column.evaluations(network), network.train_seed or 0
        for attack, evaluations in held.items():
            if evaluations:
                figures.setdefault(attack, {})[seed] = statistics.median(e.percent for e in evaluations)
        if all(held.values()):
            together = [e for evaluations in held.values() for e in evaluations]
            figures.setdefault(column.name, {})[seed] = column.figure(together, verdicts)
    return replace(failed, figures=figures)


def reasons_at_chance(rights: Mapping[str, Rights], images: int, classes: int, seeds: Sequence[int]) -> dict[int, str]:
    """Which networks of a row are at chance, with the reason of each.

    On natural images by itself; under an attack beside the row's other networks, and then under the attack that leaves
    the fewest images.

    Args:
        rights: of each attack; a network without a figure is left out.
        images: how many were attacked.
        seeds: the training seed of each network.
    """
    level, found = f"chance ({100 * chance(classes):g} %)", dict[int, tuple[float, str]]()
    for attack, of_attack in rights.items():
        places, counts = list(of_attack), list(of_attack.values())
        if attack == NATURAL:
            hits = [at_chance(right, images, classes) for right in counts]
        else:
            hits = collapsed_under(counts, images, classes)
        if not any(hits):
            continue
        best = max(of_attack, key=lambda place: of_attack[place])
        for place, right in (pair for pair, hit in zip(zip(places, counts, strict=True), hits, strict=True) if hit):
            said = f"{100 * right / images:.2f} % right"
            if attack == NATURAL:
                found[place] = -1.0, f"{said} on natural images, not above {level}"
            elif right < found.get(place, (images + 1.0, ""))[0]:
                other = f"while seed {seeds[best]} has {100 * of_attack[best] / images:.2f} %"
                found[place] = right, f"{said} under {legible(attack)}, not above {level}, {other}"
    return {place: reason for place, (_, reason) in found.items()}
