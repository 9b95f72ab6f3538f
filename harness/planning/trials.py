"""Plugins are tried before anything is written: what breaks its contract is refused here, not after hours of work.

What ships is held to its contracts by the project's tests, so most trials are of what does not ship.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Sequence

import torch

from harness.conformance import Violation
from harness.conformance.attack import repeatable
from harness.conformance.network import require_seeded, require_trainable
from harness.planning.passes import training_passes
from harness.plugin.attack import Attack, Passes
from harness.plugin.method import Method
from harness.plugin.network import Network, Shape
from harness.plugin.threat import Threat
from harness.plugin.wrapper import Wrapper
from harness.registry.faults import blaming, fault
from harness.registry.shipped import ships
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed


def count_parameters(network: Network, shape: Shape, device: torch.device) -> int:
    """How many parameters the network has for images of this shape.

    One that ships is only outlined. Any other one is built, and tried on a few random images on the device that will
    train it, as ``harness check network`` tries it; and built again, since one seed must give one network. Two parts
    of that contract are left to the checks of rigour, which flag the figures: an evaluation mode that draws, and
    gradients that vanish.

    Raises:
        SettingError: the network does not take images of this shape.
        PluginFault: it cannot be trained, or no seed decides what it becomes; names the network and its file.
    """
    if ships(type(network)):
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in network.build(shape).parameters())
    with process_kept(), blaming([network]):
        with global_seed(torch.device("cpu"), 0):
            model = network.build(shape)
        try:
            with global_seed(device, 0):
                require_trainable(model, shape, device)
            require_seeded(network, shape, device)
        except Violation as violation:
            raise fault(network, str(violation)) from None
    return sum(parameter.numel() for parameter in model.parameters())


def refuse_unrepeatable(attacks: Iterable[Attack]) -> None:
    """Try each attack that does not ship on three small images, twice alike: its figures can be had again, or not.

    One that cannot be tried there is tried by its evaluation.

    Raises:
        PluginFault: an attack keeps something from call to call, or draws from elsewhere than its generator; names it.
    """
    for attack in attacks:
        if ships(type(attack)):
            continue
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), process_kept():
            warnings.simplefilter("ignore")
            try:
                repeatable(attack)
            except Violation as violation:
                raise fault(attack, str(violation)) from None
            except (Exception, SystemExit):  # it may ask for images of another size, or for another network
                continue


def try_update(
    method: Method, threat: Threat, wrappers: Sequence[Wrapper], network: Network, shape: Shape, device: torch.device
) -> Passes:
    """Take one update, and give the passes that one training image takes: by a linear layer, or by the network.

    The network is taken where the method looks into it, and where it does not ship: then it is tried together with the
    method and the wrappers.

    Raises:
        PluginFault: the method, the network, or a wrapper broke its contract.
    """
    if ships(type(network)):
        with contextlib.suppress(Exception):  # a method that needs more than a linear layer may fail on it in any way
            return training_passes(method, threat, wrappers)
    return training_passes(method, threat, wrappers, network, shape, device)
