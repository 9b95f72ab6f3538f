"""Check that plugins keep nothing outside their memory, so that a stopped training can resume."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.plugin.settings import Plugin
from harness.plugin.state import Stateful
from harness.registry.faults import fault
from harness.training.memory import require_savable


class Remembered:
    """A record of what plugins keep, made after ``prepare``, to compare with after updates.

    A plugin with its own ``state_dict`` decides itself what to keep; only that ``state_dict`` is checked.

    Args:
        plugins: a method and wrappers, after ``prepare``.
        model: the network that is trained.
    """

    def __init__(self, plugins: Sequence[Plugin], model: nn.Module) -> None:
        self._plugins, self._model = plugins, model
        parts = [cast(Stateful, plugin) for plugin in plugins]
        self._prepared = [(part, _networks(part), self._outside(part)) for part in parts if not part.saves_itself]
        self._trained = [(part, name, _digest(network)) for part in parts for name, network in _frozen(part).items()]

    def refuse_lost(self) -> None:
        """Refuse anything that a resumed training would lack.

        Raises:
            PluginFault: a plugin keeps something that would be lost; says what.
        """
        require_savable(self._plugins)
        for part, problem in self.lost():
            raise fault(cast(Plugin, part), problem)

    def lost(self) -> Iterator[tuple[Stateful, str]]:
        """Each plugin that keeps something that would be lost, with a message.

        Lost would be: weights of the trained network in the memory (after a load they would be a copy), a network that
        ``prepare`` did not put into the memory, and an attribute outside the memory that changed since ``prepare``.
        So would be a change of a network that was trained before, which a resumed training loads from its file.
        """
        for part, name, before in self._trained:
            network = _frozen(part).get(name)
            if network is None or _digest(network) != before:
                stays = "its weights, its buffers, and its modes must stay"
                yield part, f"it changed its network {name!r}, which was trained before: {stays}; change a copy"
        for part, networks, outside in self._prepared:
            problem = self._problem(part, networks, outside)
            if problem is not None:
                yield part, problem

    def _problem(self, part: Stateful, networks: set[str], outside: dict[str, str]) -> str | None:
        for name, value in part.memory.items():
            if self._shares(value):
                return (
                    f"its memory {name!r} shares weights with the trained network, but would not after a stop;"
                    " keep a copy (.detach().clone(), copy.deepcopy), or take them from the network at each update"
                )
        new = _networks(part) - networks
        if new:
            return (
                f"its memory {min(new)!r} is a network that prepare did not put there, so a resumed training could not"
                " load it; put copy.deepcopy(model) there in prepare, and load the weights into it later"
            )
        now = self._outside(part)
        changed = [name for name in now if now[name] != outside.get(name)]
        if changed:
            return (
                f"its attribute {changed[0]!r} changed in an update, and would be lost when a training is stopped: keep"
                " what it remembers in self.memory, or give the plugin a state_dict and a load_state_dict of its own"
            )
        return None

    def _outside(self, part: Stateful) -> dict[str, str]:
        """Attribute outside the memory -> digest of its value.

        An attribute that cannot be pickled is left out; so is the trained network, which ``prepare`` gets again after
        a stop.
        """
        found = {}
        for name, value in vars(part).items():
            cached = isinstance(getattr(type(part), name, None), cached_property)
            if name not in ("_memory", "_networks") and not cached and not self._shares(value):
                with contextlib.suppress(Exception):  # a user's class may raise anything
                    found[name] = sha256(pickle.dumps(value)).hexdigest()
        return found

    def _shares(self, value: Any) -> bool:
        own = {_place(tensor) for tensor in _tensors(self._model)}
        return any(tensor.numel() and _place(tensor) in own for tensor in _tensors(value))


def _networks(part: Stateful) -> set[str]:
    return {name for name, value in part.memory.items() if isinstance(value, nn.Module)}


def _frozen(part: Stateful) -> dict[str, nn.Module]:
    """The networks of a part that were trained before."""
    return {name: network for name, network in part.networks.items() if name not in part.beside}


def _digest(network: nn.Module) -> str:
    """Changes with a weight, a buffer, or a mode."""
    found = sha256(repr([module.training for module in network.modules()]).encode())
    for tensor in (*network.parameters(), *network.buffers()):
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        found.update(repr(tensor.requires_grad).encode())
    return found.hexdigest()


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors of a network, or in a value that may be saved."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from (*value.parameters(), *value.buffers())
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _tensors(item)


def _place(tensor: Tensor) -> tuple[str, int]:
    return str(tensor.device), tensor.untyped_storage().data_ptr()
