"""Gives a method and wrappers the networks that their settings name: from weights, or newly built to train beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from harness.errors import HarnessError
from harness.plugin.given import beside_settings, trained_settings
from harness.plugin.method import Method
from harness.plugin.network import Network, Shape
from harness.plugin.settings import Plugin
from harness.plugin.state import Stateful
from harness.plugin.wrapper import Wrapper
from harness.protocols.run_spec import RunSpec
from harness.runtime.seeds import derive_seed, global_seed
from harness.training.loop import initial_model
from harness.training.run_plugins import beside_network

_CPU = torch.device("cpu")

Load = Callable[[str], nn.Module]
"""Gives the trained network whose file of weights has this SHA-256, on the CPU."""


def give_networks(
    parts: Sequence[Method | Wrapper],
    spec: RunSpec,
    main: Network,
    shape: Shape,
    device: torch.device,
    plugins: tuple[Path, ...],
    load: Load,
) -> None:
    """Have each part receive the networks that its settings name, on the device, before it is prepared.

    The weights of a network that trains beside the main one are drawn on the CPU, from a seed of its own.

    Raises:
        HarnessError: a setting must name a trained network, and names none; or weights cannot be used.
    """
    for part in parts:
        trained: dict[str, nn.Module] = {}
        for setting in trained_settings(type(part)):
            sha256 = getattr(part, setting)
            if sha256 == "":
                raise HarnessError(f"{part.name} needs {setting}, a trained network: name one")
            if sha256 is not None:
                trained[setting] = load(sha256).to(device)
        beside = {}
        for setting in beside_settings(type(part)):
            network = beside_network(spec, part, setting, plugins) if getattr(part, setting) else main
            seed = derive_seed(spec.train_seed, "beside", part.name, setting)
            beside[setting] = initial_model(network, shape, seed).to(device)
        part.receive(trained, beside)


def give_stand_ins(part: Plugin, build: Callable[[], nn.Module]) -> None:
    """Have a part receive a newly built network for every setting that names one: to try it, or to measure it.

    Args:
        build: builds a network like the main one; each comes from a seed of its own.
    """
    cls = type(part)

    def made(settings: Sequence[str], purpose: str) -> Mapping[str, nn.Module]:
        found = {}
        for setting in settings:
            with global_seed(_CPU, derive_seed(0, purpose, setting)):
                found[setting] = build()
        return found

    left_out = [name for name in trained_settings(cls) if getattr(part, name) is None]
    trained = [name for name in trained_settings(cls) if name not in left_out]
    cast(Stateful, part).receive(made(trained, "trained"), made(beside_settings(cls), "beside"))
