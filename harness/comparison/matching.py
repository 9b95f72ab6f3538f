"""Find the column in which two entrants can be compared (same images, same attack settings), or say what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.comparison.naming import Entrant
from harness.errors import HarnessError
from harness.leaderboard.columns import WORST_CASE, Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.over_seeds import Pair, network_pairs, usable_pairs
from harness.store.records import ProtocolRecord
from harness.store.standing import Evaluated
from harness.store.store import Store


@dataclass(frozen=True)
class Common:
    """The column in which two entrants can be compared.

    Attributes:
        pairs: each pair of networks with its evaluations there, as ``usable_pairs``; at least one.
        protocol: the newest one that has these attack settings; None if none has.
        notes: with which other settings of the same attack they could be compared as well.
    """

    column: Column
    pairs: list[tuple[Pair, Shared]]
    protocol: ProtocolRecord | None
    notes: tuple[str, ...]


def common_column(store: Store, first: Entrant, second: Entrant, attack: str | None) -> Common:
    """The column in which two entrants can be compared: the same attack settings, the most test images.

    Of several settings of one attack on as many images, those count that were evaluated first. Of the worst cases of
    several protocols, the one of the most pairs of networks counts, then the one of the most networks, then the one of
    the most attacks: a protocol that got a further attack counts as soon as all of the networks have it, as on the
    board.

    Args:
        attack: its name, or ``worst_case``; None: of the protocol of which both have the most attacks, the last one;
            of several such protocols the newest counts. A protocol with fewer attacks changes nothing.
    Raises:
        HarnessError: there is no such column; says what differs.
    """
    one, other = first.place[0], second.place[0]
    if first.networks[0].dataset.fingerprint != second.networks[0].dataset.fingerprint:
        raise HarnessError(f"{first.name} was measured on {one}, {second.name} on {other}: not the same test images")
    pairs, protocols = network_pairs(first.networks, second.networks), store.protocols()
    candidates = _columns((*(network for network, _ in pairs), *first.networks), protocols, first.under)
    asked = [c for c in candidates if (c.name == attack if attack else c.name != WORST_CASE)]
    columns = [column for column in asked if any(column.in_common(*pair) for pair in pairs)]
    columns = columns or [column for column in asked if usable_pairs(first.networks, second.networks, column)]
    if not columns:
        raise HarnessError(_what_differs(first, second, pairs, attack))
    networks = (*first.networks, *second.networks)
    if attack is None:
        last = max(columns, key=lambda column: _place(column, columns, protocols))
        columns = [column for column in columns if column.name == last.name]
    column = max(columns, key=lambda column: _preference(column, pairs, networks, protocols))
    own = _protocol_of(column, first, protocols)
    others = [_protocol_of(c, first, protocols) for c in columns if _other_settings(c, column)]
    named = ", ".join(dict.fromkeys(f"{p.name} [{p.fingerprint[:8]}]" for p in others if p is not None))
    note = f"they were also measured with other attack settings{named and f', those of {named}'}; --protocol chooses"
    return Common(column, usable_pairs(first.networks, second.networks, column), own, (note,) if others else ())


def _protocol_of(column: Column, entrant: Entrant, protocols: Sequence[ProtocolRecord]) -> ProtocolRecord | None:
    """The newest protocol with a column's attack settings, if there is one among those that trained the networks."""
    having = [p for p in entrant.under or protocols if column.attacks.items() <= p.attacks.items()]
    trained = [p for p in having if p.trains(entrant.networks[0].training_sha256, entrant.networks[0].wrapped)]
    return next(reversed(trained or having), None)


def _other_settings(one: Column, other: Column) -> bool:
    """Whether two columns have an attack of one name, and different settings of it."""
    return any(one.attacks.get(attack, settings) != settings for attack, settings in other.attacks.items())


@dataclass(frozen=True)
class TwoAttacks:
    """The columns in which two attacks on an entrant can be compared.

    Attributes:
        networks: those that have evaluations in both columns, with a seed in common; at least one.
        notes: which networks are left out, and with which other settings the attacks could be compared as well.
    """

    columns: tuple[Column, Column]
    networks: list[Contestant]
    notes: tuple[str, ...]


def common_columns(store: Store, entrant: Entrant, attacks: tuple[str, str]) -> TwoAttacks:
    """The columns of two attacks: the same test images and a seed in common on the most networks of an entrant.

    All networks have the same settings of both attacks. Among equals the most test images count, then the settings of
    the newest protocol.

    Raises:
        HarnessError: no network has an attack, or the attacks have no images or no seed in common; says which.
    """
    protocols = store.protocols()
    held = [c for c in _columns(entrant.networks, protocols, entrant.under) if c.name != WORST_CASE]
    by_attack = [[c for c in held if c.name == attack] for attack in attacks]
    for attack, columns in zip(attacks, by_attack, strict=True):
        if not columns:
            has = ", ".join(sorted({e.attack for e in _complete(entrant.networks, entrant.under)})) or "none"
            raise HarnessError(f"{entrant.name} has no complete evaluation by {attack}; it has {has}")
    met = [
        ((one, other), [network for network in entrant.networks if _meet(network, one, other)])
        for one in by_attack[0]
        for other in by_attack[1]
    ]
    chosen, networks = max(
        met, key=lambda item: (len(item[1]), item[0][0].examples, *(_newest(column, protocols) for column in item[0]))
    )
    if not networks:
        raise HarnessError(f"{entrant.name}: {' and '.join(attacks)} have no test images or no attack seed in common")
    notes = []
    left_out = [f"run {network.number}" for network in entrant.networks if network not in networks]
    if left_out:
        told = f"{' and '.join(attacks)} did not attack the same images with these settings and a common seed"
        notes.append(f"not compared: {', '.join(left_out)}; {told}")
    if any(there and any(map(_other_settings, pair, chosen)) for pair, there in met):
        notes.append(f"also measured with other settings of {' or '.join(attacks)}; --protocol chooses")
    return TwoAttacks(chosen, networks, tuple(notes))


def _meet(network: Contestant, one: Column, other: Column) -> bool:
    seeds = [{e.seed for e in column.evaluations(network)[column.name]} for column in (one, other)]
    return one.images == other.images and not seeds[0].isdisjoint(seeds[1])


Place = tuple[int, int, int]


def _place(column: Column, columns: Sequence[Column], protocols: Sequence[ProtocolRecord]) -> Place:
    """The best place of the column's last attack in a protocol; less than every place if no protocol has it.

    Args:
        columns: those that may be chosen; the more of its attacks they have, the more a protocol counts.
        protocols: oldest first.
    Returns:
        How many of the protocol's attacks the columns have, the attack's position in it, and the protocol's number.
    """
    held = {item for one in columns for item in one.attacks.items()}
    places = [
        (len(held & p.attacks.items()), position, number)
        for number, p in enumerate(protocols)
        for position, item in enumerate(p.attacks.items())
        if item in column.attacks.items()
    ]
    return max(places, default=(0, 0, -1))


def _preference(
    column: Column, pairs: Sequence[Pair], networks: Sequence[Contestant], protocols: Sequence[ProtocolRecord]
) -> tuple[int, ...]:
    """By what one column of a name is preferred to another; see ``common_column``. Among equals the first counts."""
    if column.name != WORST_CASE:
        return (column.examples,)
    paired = sum(bool(column.in_common(*pair)) for pair in pairs)
    there = sum(all(column.evaluations(network).values()) for network in networks)
    return column.examples, paired, there, len(column.attacks), _newest(column, protocols)


def _newest(column: Column, protocols: Sequence[ProtocolRecord]) -> int:
    """The number of the newest protocol that has the column's attacks; -1 if none has."""
    return max((n for n, p in enumerate(protocols) if column.attacks.items() <= p.attacks.items()), default=-1)


def _columns(
    networks: Sequence[Contestant], protocols: Sequence[ProtocolRecord], under: Sequence[ProtocolRecord] | None
) -> Iterator[Column]:
    """Columns that may have a figure of these networks: single attacks, and each protocol's worst case.

    Args:
        under: the protocols that the user named; None: all.
    """
    held = {(e.attack, e.settings_sha256, e.images): None for e in _complete(networks, under)}
    yield from (Column(attack, {attack: sha256}, images) for attack, sha256, images in held)
    sets = {images: None for _, _, images in held}
    yield from (
        Column(WORST_CASE, p.attacks, images) for p in (protocols if under is None else under) for images in sets
    )


def _what_differs(first: Entrant, second: Entrant, pairs: Sequence[Pair], attack: str | None) -> str:
    """Why two entrants cannot be compared: their attacks, settings, images, or seeds differ."""
    if attack == WORST_CASE:
        return f"{first.name} and {second.name} have no worst case in common: it needs every attack of a protocol"
    known = [_complete((pair[side] for pair in pairs), first.under) for side in (0, 1)]
    held = [[e for e in evaluations if attack in (None, e.attack)] for evaluations in known]
    attacks = [", ".join(sorted({e.attack for e in evaluations})) or "none" for evaluations in known]
    for entrant, evaluations, has in zip((first, second), held, attacks, strict=True):
        if not evaluations:
            return f"{entrant.name} has no complete evaluation by {attack or 'any attack'}; it has {has}"
    shared = {e.attack for e in held[0]} & {e.attack for e in held[1]}
    if not shared:
        return f"{first.name} was attacked by {attacks[0]}, {second.name} by {attacks[1]}: no attack in common"
    name = [e.attack for e in held[0] if e.attack in shared][-1]
    ours, theirs = ([e for e in side if e.attack == name] for side in held)
    between = f"{first.name} and {second.name} differ in {name}: "
    alike = [(e, f) for e in ours for f in theirs if e.settings_sha256 == f.settings_sha256]
    if not alike:
        a, b = ours[-1].settings, theirs[-1].settings
        keys = sorted(key for key in {*a, *b} if a.get(key) != b.get(key))
        return between + ", ".join(f"{key} is {a.get(key)} and {b.get(key)}" for key in keys)
    if not any(e.images == f.images for e, f in alike):
        total = pairs[0][0].dataset.test_examples
        sets = [" or ".join(sorted({e.images.described(total) for e in side})) for side in (ours, theirs)]
        return f"{between}{sets[0]} were attacked for the one, {sets[1]} for the other"
    seeds = [", ".join(map(str, sorted({e.seed for e in side}))) for side in (ours, theirs)]
    rule = "networks with the same training seed need an attack seed in common"
    return f"{between}attack seeds {seeds[0]} and {seeds[1]}; {rule}"


def _complete(networks: Iterable[Contestant], under: Sequence[ProtocolRecord] | None) -> list[Evaluated]:
    """The complete evaluations of networks, by the attack settings of the protocols that the user named; None: all."""
    held = [e for network in networks for e in network.checkpoint.evaluations if e.complete]
    if under is None:
        return held
    return [e for e in held if any(p.attacks.get(e.attack) == e.settings_sha256 for p in under)]
