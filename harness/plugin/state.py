"""What a method or a wrapper remembers beyond its settings: saved with every checkpoint, restored on resume."""

from __future__ import annotations

from typing import Any

from torch import nn


class Stateful:
    """A mixin for frozen settings that need a memory: tensors, numbers, texts, and whole networks.

    Lists, tuples, dicts, and sets of the first three may be kept, too; the training refuses anything else.

    ``prepare`` fills it before the training; what an earlier start saved is put back after that.
    """

    @property
    def memory(self) -> dict[str, Any]:
        """What is remembered, by name. Not a setting: it plays no part in identity."""
        memory: dict[str, Any] = self.__dict__.setdefault("_memory", {})  # frozen forbids assignment, not this
        return memory

    @property
    def saves_itself(self) -> bool:
        """Whether the class has a ``state_dict`` of its own, so that not the memory says what is remembered."""
        return type(self).state_dict is not Stateful.state_dict

    def prepare(self, model: nn.Module) -> None:
        """Make ready for the training of this model, which is on its device, with its initial weights."""

    def state_dict(self) -> dict[str, Any]:
        """The memory as ``torch.load(weights_only=True)`` can read it; a network is kept as its state dict."""
        return {k: v.state_dict() if isinstance(v, nn.Module) else v for k, v in self.memory.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave; networks must have been prepared."""
        for name, value in state.items():
            if isinstance(self.memory.get(name), nn.Module):
                self.memory[name].load_state_dict(value)
            else:
                self.memory[name] = value
