"""Try plugins before anything is written: a plugin that breaks its contract is refused now, not after hours of work.

The project's tests hold what ships to its contracts, so most trials are of plugins that do not ship.
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

    A network that ships is only outlined. Any other network is built, and tried on a few random images on the device
    that will train it, as ``harness check network`` does. Then it is built again, since the same seed must give the
    same network. The checks of rigour see to two parts of the contract: random numbers in evaluation mode, and
    gradients that vanish.

    Raises:
        SettingError: the network does not take images of this shape.
        PluginFault: it cannot be trained, or the seed does not decide its weights; names the network and its file.
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
    """Run each attack that does not ship twice on three small images: both times it must give the same result.

    An attack that cannot run on such images passes here; its evaluation will try it.

    Raises:
        PluginFault: an attack keeps something between calls, or draws from another generator than its own; names it.
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
            except (Exception, SystemExit):  # it may need larger images, or another network
                continue


def try_update(
    method: Method, threat: Threat, wrappers: Sequence[Wrapper], network: Network, shape: Shape, device: torch.device
) -> Passes:
    """Run one training update, and count the passes that one image takes.

    A linear layer stands in for the network if the network ships and the method can do without it. Else the network is
    tried together with the method and the wrappers.

    Raises:
        PluginFault: the method, the network, or a wrapper broke its contract.
    """
    if ships(type(network)):
        with contextlib.suppress(Exception):  # a method that needs more than a linear layer may fail on it in any way
            return training_passes(method, threat, wrappers)
    return training_passes(method, threat, wrappers, network, shape, device)
