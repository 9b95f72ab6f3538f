"""Networks that are too large for tests on a CPU, made narrow: their depth and their code are those that ship."""

from __future__ import annotations

from dataclasses import dataclass

from harness.networks._vision_transformer import HEAD, VisionTransformer
from harness.networks._wide_resnet import WideResNet
from harness.networks.wrn import WRN
from harness.networks.wrn_32_10 import WRN32x10
from harness.plugin.network import Network


def slim(network: Network) -> Network:
    """The network itself, unless it is a large one of a family: then with a fifth of the channels or fewer."""
    narrow: dict[str, object] = {}
    if isinstance(network, (WideResNet, WRN32x10)) and not isinstance(network, WRN):
        narrow = {"width": 2}
    elif isinstance(network, VisionTransformer):
        narrow = {"tokens_width": 2 * HEAD}
    if not narrow:
        return network
    cls: type[Network] = dataclass(frozen=True, kw_only=True)(type(type(network).__name__, (type(network),), narrow))
    return cls.from_mapping(network.resolved())
