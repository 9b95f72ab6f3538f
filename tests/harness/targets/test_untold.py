"""Weights whose names and shapes do not tell what network they are of."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import nn

from harness.errors import HarnessError
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover
from harness.targets.content import StateDict
from harness.targets.preprocessing import Asked, Preprocessing
from harness.targets.recognise import Recognised, Search, recognise
from tests.harness.targets.conftest import Opens, logits, pixels

CIFAR = Shape(3, 32, 32, 10)
SMALL = CIFAR._replace(height=16, width=16)


def network(name: str, **settings: Any) -> Network:
    return cast(Network, discover("networks").get(name).from_mapping(settings))


def recognised(weights_of: Network, name: str | None = None, **settings: Any) -> Recognised:
    """What the names and shapes of a network's tensors are taken for, if a user gives this name and these settings."""
    with torch.device("meta"):
        state = weights_of.build(CIFAR).state_dict()
    search = Search([StateDict((), dict(state))], [], (), CIFAR)
    (found,) = recognise(search, "net.pt", "net.pt", Asked(name, settings, Preprocessing(), False), ())
    return found


def test_the_network_of_two_names_is_the_one_that_was_first() -> None:
    assert recognised(network("wrn-34-10")).network == network("wrn-32-10")
    assert recognised(network("wrn-34-10"), "wrn-34-10").network == network("wrn-34-10")


@pytest.mark.parametrize("name", ["wrn-28-10", "wrn-34-20", "resnet50", "vit-tiny"])
def test_a_network_of_one_name_is_recognised(name: str) -> None:
    assert recognised(network(name)).network == network(name)


def test_silu_is_told_by_the_names() -> None:
    silu = network("wrn-28-10", activation="silu")
    assert recognised(silu, "wrn-28-10", activation="silu").network == silu
    with pytest.raises(HarnessError, match="is not a state dict of wrn-28-10"):
        recognised(silu, "wrn-28-10")


def test_the_shortcut_of_a_preactivation_network_must_be_given(opens: Opens) -> None:
    with pytest.raises(HarnessError) as refused:
        recognised(network("preact-resnet18"))
    line = "its tensors do not tell the setting shortcut (activated | input), which decides its answers"
    assert f"net.pt fits preact-resnet18, but {line}: give --set network.shortcut=VALUE" in str(refused.value)
    silu = network("preact-resnet18", activation="silu")
    assert recognised(silu, "preact-resnet18", activation="silu").network == silu
    model = network("preact-resnet18", shortcut="input").build(SMALL).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias)
    torch.save(model.state_dict(), "net.pt")
    found = {
        value: logits(opens("net.pt", shape=SMALL, network_values={"shortcut": value}), pixels(SMALL), SMALL)
        for value in ("input", "activated")
    }
    with torch.no_grad():
        assert torch.equal(found["input"], model(pixels(SMALL)))
    assert not torch.allclose(found["input"], found["activated"])
