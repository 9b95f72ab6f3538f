"""On which boards a network stands: its protocol, its data set, and the test images that were attacked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.identity import digest
from harness.leaderboard.contestants import Contestant
from harness.plugin.images import Images
from harness.store.records import ProtocolRecord

Place = tuple[str, str, Images]
"""What identifies a board: fingerprint of the protocol, fingerprint of the data set, the test images."""

_NOTHING = digest({})  # the hash of an attack without settings, such as natural accuracy; every protocol has that one


def places(networks: Sequence[Contestant], protocols: Sequence[ProtocolRecord]) -> dict[Place, list[Contestant]]:
    """The networks of each board, boards in the order of their protocols.

    A protocol that got an attack stands where it stood before: its name and its training are those of an older one.
    A run stands under the protocol that it was trained under. A model from elsewhere stands on every board that has
    runs evaluated by the same attacks; if no such board exists, under the last protocol with these attacks.
    """
    found: dict[Place, list[Contestant]] = defaultdict(list)
    for network in networks:
        if network.training_sha256 is not None:
            for place in _eligible(network, protocols):
                found[place].append(network)
    with_runs = set(found)
    for network in networks:
        if network.training_sha256 is None:
            for place in _beside(with_runs, list(_eligible(network, protocols))):
                found[place].append(network)
    kinds = [(protocol.name, protocol.training_sha256) for protocol in protocols]
    order = {p.fingerprint: (kinds.index(kinds[number]), number) for number, p in enumerate(protocols)}
    return dict(sorted(found.items(), key=lambda item: order[item[0][0]]))


def _eligible(network: Contestant, protocols: Sequence[ProtocolRecord]) -> Iterator[Place]:
    """Where an attack of the protocol was completed, be it on an earlier attempt; those without settings do not count.

    So a network stays where the attempt before it stood: without a figure, and with a note that says so.
    """
    evaluations = [
        (e.attack, e.settings_sha256, e.examples, e.sample) for e in network.checkpoint.evaluations if e.complete
    ]
    evaluations += [(e.attack, e.settings_sha256, e.images.count, e.images.sample) for e in network.earlier]
    for protocol in protocols:
        if network.stands_under(protocol):
            telling = {name: key for name, key in protocol.attacks.items() if key != _NOTHING} or protocol.attacks
            attacked = {
                (count, sample) for attack, sha256, count, sample in evaluations if telling.get(attack) == sha256
            }
            for count, sample in sorted(attacked):
                yield protocol.fingerprint, network.dataset.fingerprint, Images(count, sample)


def _beside(with_runs: set[Place], eligible: Sequence[Place]) -> Iterator[Place]:
    for images in sorted({place[2] for place in eligible}):
        alike = [place for place in eligible if place[2] == images]
        yield from [place for place in alike if place in with_runs] or alike[-1:]
