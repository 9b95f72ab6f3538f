"""The one figure by which a list names a network: its accuracy under the last attack of its board's protocol."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.leaderboard.columns import Column
from harness.leaderboard.contestants import Contestant
from harness.plugin.images import Images
from harness.store.records import ProtocolRecord


@dataclass(frozen=True)
class Headline:
    """A network's accuracy in percent: the median over the attack seeds.

    Attributes:
        n: how many attack seeds.
        protocol: the name of the protocol.
    """

    attack: str
    percent: float
    n: int
    images: Images
    protocol: str
    fingerprint: str
    checkpoint: str


def headline(checkpoints: Sequence[Contestant], protocols: Sequence[ProtocolRecord]) -> Headline | None:
    """The figure of a network: of its last checkpoint that has one, under the newest protocol, on the most images.

    A run stands under the protocols that it was trained under, a model from elsewhere under any. None without a
    complete evaluation by the last attack of such a protocol.

    Args:
        checkpoints: of one network, in the order of their epochs.
        protocols: oldest first.
    """
    for network in reversed(checkpoints):
        for protocol in reversed(protocols):
            if not network.stands_under(protocol):
                continue
            attack, settings = list(protocol.attacks.items())[-1]
            images = {e.images for e in network.checkpoint.evaluations if e.attack == attack}
            for chosen in sorted(images, reverse=True):
                found = Column(attack, {attack: settings}, chosen).evaluations(network)[attack]
                if found:
                    median = statistics.median(e.percent for e in found)
                    place = (protocol.name, protocol.fingerprint, network.checkpoint.name)
                    return Headline(attack, median, len(found), chosen, *place)
    return None
