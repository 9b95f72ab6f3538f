"""Whether two attacks on a network, or two networks under an attack, find the same test images vulnerable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.comparison.matching import common_column, common_columns
from harness.comparison.naming import Entrant
from harness.errors import HarnessError
from harness.leaderboard.columns import Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.statistics.agreement import SHARE, Agreement, agreement
from harness.store.standing import Evaluated
from harness.store.store import Store


@dataclass(frozen=True)
class SeedAgreement:
    """Two evaluations with one attack seed: V of every image (``harness.statistics.agreement``), and the sets."""

    seed: int
    first: list[float]
    second: list[float]
    sets: Agreement


@dataclass(frozen=True)
class Vulnerable:
    """Pairs of evaluations, one for each attack seed in common: two networks under one attack, or the reverse.

    Attributes:
        names: of the two networks, or of the two attacks, that are compared.
        networks: the network of each side; both are the same where two attacks are compared.
        columns: the attack of each side.
        notes: warnings to read before the figures.
    """

    names: tuple[str, str]
    networks: tuple[Contestant, Contestant]
    columns: tuple[Column, Column]
    seeds: tuple[SeedAgreement, ...]
    notes: tuple[str, ...] = ()


def networks_agree(
    store: Store, first: Entrant, second: Entrant, attack: str | None = None, share: float = SHARE
) -> list[Vulnerable]:
    """Compare two entrants under one attack; one result for each training seed in common.

    Args:
        attack: None: the last attack that both entrants have.
    Raises:
        HarnessError: the entrants were not measured on the same images by the same attack, or by a version of harness
            that did not keep vulnerabilities.
    """
    common = common_column(store, first, second, attack)
    names, columns = (first.name, second.name), (common.column, common.column)
    return [
        Vulnerable(names, pair, columns, _seeds(store, shared, share, names), common.notes)
        for pair, shared in common.pairs
    ]


def attacks_agree(store: Store, entrant: Entrant, attacks: Sequence[str], share: float = SHARE) -> list[Vulnerable]:
    """Compare two attacks, each with one setting, on each network of an entrant, on the most images that both attacked.

    Raises:
        HarnessError: ``attacks`` are not two different ones, or the entrant lacks one, or a version of harness that did
            not keep vulnerabilities made the evaluation.
    """
    if len(attacks) != 2 or attacks[0] == attacks[1]:
        raise HarnessError(f"--attacks {','.join(attacks)} is refused: name two different attacks, such as pgd,cw")
    names = (attacks[0], attacks[1])
    common = common_columns(store, entrant, names)
    found = []
    for network in common.networks:
        ours, theirs = (column.evaluations(network)[column.name] for column in common.columns)
        shared = [(e, f) for e in ours for f in theirs if e.seed == f.seed]
        seeds = _seeds(store, shared, share, (entrant.name, entrant.name))
        found.append(Vulnerable(names, (network, network), common.columns, seeds, common.notes))
    return found


def _seeds(store: Store, shared: Shared, share: float, names: tuple[str, str]) -> tuple[SeedAgreement, ...]:
    sides = ((e.seed, _vulnerabilities(store, e, names[0]), _vulnerabilities(store, f, names[1])) for e, f in shared)
    return tuple(SeedAgreement(seed, one, other, agreement(one, other, share)) for seed, one, other in sides)


def _vulnerabilities(store: Store, evaluation: Evaluated, name: str) -> list[float]:
    margins = store.margins(evaluation.id)
    if margins is None:
        raise HarnessError(
            f"{name}: {evaluation.attack} with seed {evaluation.seed} was evaluated before the vulnerability of each"
            " image was kept; run it again with --fresh"
        )
    return margins
