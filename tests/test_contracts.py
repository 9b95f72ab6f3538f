"""What every registered plugin must do: the checks of ``harness check``, over everything that ships.

A new method, attack, network, or wrapper is tested by existing.
"""

from __future__ import annotations

import pytest

from harness.conformance import checks, load_plugin
from harness.plugin.network import Network
from harness.registry.catalogue import KINDS, discover
from tests.slim import slim

# their images are not here: tests/harness/data makes them
ELSEWHERE = {"cifar10", "cifar100", "svhn", "mnist", "fashion-mnist", "stl10", "tiny-imagenet", "folder", "npz"}

CASES = [
    pytest.param(kind, name, check, id=f"{kind} {name}: {check}")
    for kind in (spec.noun for spec in KINDS.values())
    for name in sorted(discover(f"{kind}s").found)
    if name not in ELSEWHERE
    for check in checks(kind)
]


@pytest.mark.parametrize(("kind", "name", "check"), CASES)
def test_contract(kind: str, name: str, check: str) -> None:
    plugin = load_plugin(kind, name)
    checks(kind)[check](slim(plugin) if isinstance(plugin, Network) else plugin)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_that_ships_is_broken(kind: str) -> None:
    assert discover(kind).broken == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_everything_says_what_it_is_and_what_its_settings_mean(kind: str) -> None:
    for name, found in discover(kind).found.items():
        assert len(found.cls.summary()) > 20, name
        assert all(info.meaning for info in found.cls.describe()), name
