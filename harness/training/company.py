"""All networks of a training: the main one, those that train beside it, and those that were trained before."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from harness.plugin.state import Stateful
from harness.protocols.train_protocol import TrainProtocol
from harness.training.optimiser import clip
from harness.training.together.agreement import refuse_another_pass, refuse_other_weights
from harness.training.together.network import SharedNetwork
from harness.training.together.peers import Peers


class Company:
    """What the engine does with each network of a training.

    Args:
        model: the main network, which alone is published, and which alone wrappers of the update change.
        parts: the method and the wrappers, prepared.
        peers: the processes that train together: each pass of each network is shared among them.
    """

    def __init__(self, model: nn.Module, parts: Sequence[Stateful], peers: Peers) -> None:
        beside = [network for part in parts for network in part.beside.values()]
        every = [model, *(network for part in parts for network in part.networks.values())]
        self.moved = [model, *beside]
        self.main, self._peers = SharedNetwork(model, peers), peers
        self._shared = [self.main, *(SharedNetwork(network, peers) for network in every[1:])]

    def parameters(self) -> list[nn.Parameter]:
        """The parameters that the optimiser moves: the main network's first."""
        return [parameter for network in self.moved for parameter in network.parameters()]

    def train(self) -> None:
        """Put each network that is moved in training mode."""
        for network in self.moved:
            network.train()

    def clip(self, protocol: TrainProtocol) -> None:
        """Clip the gradient of each network that is moved by its own length, so that none shortens another's."""
        for network in self.moved:
            clip(network, protocol)

    def finite(self) -> bool:
        """Whether every weight that the optimiser moves is finite."""
        return all(bool(parameter.isfinite().all()) for parameter in self.parameters())

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Share each pass of each network in the body among the processes."""
        with contextlib.ExitStack() as stack:
            for network in self._shared:
                stack.enter_context(network.shared())
            yield

    def refuse_another_pass(self, images: Tensor) -> None:
        """Refuse a network whose pass in shares is not its pass of the whole batch.

        Raises:
            SettingError: see ``harness.training.together.agreement``.
        """
        for network in self._shared:
            refuse_another_pass(network, images)

    def refuse_other_weights(self) -> None:
        """Refuse to go on if the processes hold other weights than each other.

        Raises:
            SettingError: see ``harness.training.together.agreement``.
        """
        for network in self.moved if not self._peers.alone else ():
            refuse_other_weights(network, self._peers)
