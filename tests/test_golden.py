"""What ships says when it has changed: a version for each plugin, held to golden values, and a list of sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.methods.sat import SAT
from harness.registry.catalogue import KINDS, discover
from harness.registry.shipped import code_of, manifest, ships, source_of_plugin
from scripts.ship import document
from tests.golden import ENGINE, values_of

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "assets" / "golden.json").read_text())
KINDS_HELD = ("methods", "attacks", "networks", "wrappers")  # a data set is named by its content
COMPUTED = [(kind, name) for kind in KINDS_HELD for name in sorted(manifest()[kind])]
COMPUTED += [("engine", name) for name in ENGINE]


def version(kind: str, name: str) -> int:
    known = manifest()[kind][name]
    number: int = known if kind == "engine" else known["version"]
    return number


@pytest.mark.parametrize(("kind", "name"), COMPUTED, ids=["/".join(pair) for pair in COMPUTED])
def test_what_it_computes_changes_only_with_its_version(kind: str, name: str) -> None:
    golden = GOLDEN.get(f"{kind}/{name}")
    values = values_of(kind, name)
    told = f"{kind}/{name} computes {values}: raise its version in harness/shipped.json, and keep these in golden.json"
    assert golden is not None, told
    if golden["version"] == version(kind, name):
        assert values == pytest.approx(golden["values"], rel=2e-3, abs=1e-4), told
    else:
        pytest.fail(f"golden.json has version {golden['version']} of {kind}/{name}: keep {values} for the new one")


def test_the_list_of_what_ships_is_up_to_date() -> None:
    assert document() == manifest(), "run scripts/ship.py; raise a version where what is computed has changed"


@pytest.mark.parametrize("kind", KINDS)
def test_everything_built_in_ships_and_leaves_identities_alone(kind: str) -> None:
    for found in discover(kind).found.values():
        assert ships(found.cls), found.name
        assert code_of(found.cls) == ("" if version(kind, found.name) == 1 else f"version {version(kind, found.name)}")


def test_one_that_was_edited_is_named_by_its_source() -> None:
    class Edited(SAT):
        """An edit of what ships, under its name."""

    assert Edited.name == SAT.name
    assert not ships(Edited)
    assert code_of(Edited) == source_of_plugin(Edited).digest != source_of_plugin(SAT).digest


def test_golden_values_are_of_what_ships_and_no_more() -> None:
    assert set(GOLDEN) == {"/".join(pair) for pair in COMPUTED}
