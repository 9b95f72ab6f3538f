"""Whether a network can be trained at all: asked before anything is written."""

from __future__ import annotations

import torch

from harness.conformance import Violation
from harness.conformance.network import require_seeded, require_trainable
from harness.plugin.network import Network, Shape
from harness.registry.faults import blaming, fault
from harness.registry.shipped import ships
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed


def count_parameters(network: Network, shape: Shape, device: torch.device) -> int:
    """How many parameters the network has for images of this shape.

    One that ships is only outlined, since the project's tests hold it to its contract. Any other one is built, and
    tried on a few random images on the device that will train it, as ``harness check network`` tries it; and built
    again, since one seed must give one network. Two parts of that contract are left to the checks of rigour, which
    flag the figures: an evaluation mode that draws, and gradients that vanish.

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
