"""The one figure by which a list names a network: its accuracy under the last attack of its board's protocol."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import legible
from harness.leaderboard.columns import Column
from harness.leaderboard.contestants import Contestant
from harness.plugin.ball import radius_text
from harness.plugin.images import Images
from harness.store.records import ProtocolRecord
from harness.store.scope import Scope


@dataclass(frozen=True)
class Headline:
    """A network's accuracy in percent: the median over the attack seeds.

    Attributes:
        n: how many attack seeds.
        protocol, fingerprint: of the protocol.
        epsilon, norm: of the attacks' ball.
    """

    attack: str
    percent: float
    n: int
    images: Images
    protocol: str
    fingerprint: str
    checkpoint: str
    epsilon: float
    norm: str

    def under(self, total: int) -> str:
        """What the figure is of, in words.

        Args:
            total: how many test images the data set has.
        """
        ball = f"epsilon {radius_text(self.epsilon, self.norm)}"
        checkpoint = "" if self.checkpoint == "given" else f", {self.checkpoint}"
        return f"{legible(self.protocol)} [{self.fingerprint[:8]}], {ball}, {self.images.described(total)}{checkpoint}"


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
                    scope = Scope.of_document(protocol.document, protocol.attacks, chosen.count, chosen.sample)
                    place = (protocol.name, protocol.fingerprint, network.checkpoint.name, scope.epsilon, scope.norm)
                    return Headline(attack, median, len(found), chosen, *place)
    return None
