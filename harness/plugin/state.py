"""What a method or a wrapper remembers beyond its settings; it is saved between updates, and restored on resume."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn


class Stateful:
    """A mixin that gives frozen settings a memory: for tensors, numbers, strings, and whole networks.

    Lists, tuples, dicts, and sets of the first three may be kept, too; the training refuses anything else.

    ``prepare`` fills the memory before the training. On resume, the saved memory is restored after ``prepare``.
    """

    @property
    def memory(self) -> dict[str, Any]:
        """What is remembered, by name. It is not a setting, and not part of any identity."""
        memory: dict[str, Any] = self.__dict__.setdefault("_memory", {})  # frozen forbids assignment, not this
        return memory

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that settings of type ``Trained`` and ``Beside`` name, by setting, on the training's device.

        One that was trained before is frozen and in evaluation mode, and must stay so. One that trains beside the main
        network is in training mode, is in the memory, too, and the optimiser moves it with the main network.
        """
        found: Mapping[str, nn.Module] = self.__dict__.get("_networks", {})
        return MappingProxyType({**found})

    @property
    def beside(self) -> Mapping[str, nn.Module]:
        """Those of ``networks`` that train beside the main network."""
        return {name: network for name, network in self.networks.items() if network is self.memory.get(name)}

    def receive(self, trained: Mapping[str, nn.Module], beside: Mapping[str, nn.Module]) -> None:
        """Take the networks that settings name; called by the engine before ``prepare``."""
        for network in trained.values():
            network.eval().requires_grad_(False)
        self.__dict__["_networks"] = {**trained, **beside}
        self.memory.update(beside)

    @property
    def saves_itself(self) -> bool:
        """Whether the class overrides ``state_dict``, and so decides itself what is saved."""
        return type(self).state_dict is not Stateful.state_dict

    def prepare(self, model: nn.Module) -> None:
        """Prepare for the training of this model, which is on its device and has its initial weights."""

    def state_dict(self) -> dict[str, Any]:
        """The memory in a form that ``torch.load(weights_only=True)`` reads: a network becomes its state dict."""
        return {k: v.state_dict() if isinstance(v, nn.Module) else v for k, v in self.memory.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned; ``prepare`` must have put networks into the memory before."""
        for name, value in state.items():
            if isinstance(self.memory.get(name), nn.Module):
                self.memory[name].load_state_dict(value)
            else:
                self.memory[name] = value
