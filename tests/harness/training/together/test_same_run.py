"""A training on several devices is the training on one, for every method that ships, with and without wrappers."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Network
from harness.training.together.peers import ALONE, Peers
from tests.harness.training.together.group import Group
from tests.harness.training.together.trainings import METHODS, Kind, Precise, course, courses, kinds

LIMIT = 1e-5
ROUNDING = 1e-12  # in float64
TO_ROUNDING = ("gairat", "lrat-trades", "grad-align", "free")  # what they share in a batch, and in several ways


def differences(group: Group, asked: list[Kind], folder: Path, limit: float) -> dict[str, float]:
    """The trainings of which a loss or a weight differs by more than the limit; every process is looked at."""
    whole = courses(ALONE, asked, folder / "whole")
    shared = group.call(courses, asked, folder / "shared")
    assert [len(one.losses) for one in whole] == [kind.updates for kind in asked]
    found = {
        str(kind): max(found[number].apart(whole[number]) for found in shared) for number, kind in enumerate(asked)
    }
    return {kind: apart for kind, apart in found.items() if not apart <= limit}


def test_every_method_is_here() -> None:
    files = Path(__file__).parents[4].joinpath("methods").glob("[a-z]*.py")
    assert sorted(file.stem.replace("_", "-") for file in files) == METHODS


def test_two_processes_train_as_one_does_with_awp_and_ema(pair: Group, tmp_path: Path) -> None:
    assert differences(pair, kinds(SmallCNN(width=4), wrapped=True, epochs=1), tmp_path, LIMIT) == {}


@pytest.mark.slow
def test_four_processes_train_as_one_does_to_the_rounding_of_float64(four: Group, tmp_path: Path) -> None:
    over_the_batch = [kind for kind in kinds(Precise(), wrapped=False) if kind.method in TO_ROUNDING]
    assert differences(four, over_the_batch, tmp_path, ROUNDING) == {}


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(("network", "limit"), [(SmallCNN(width=4), LIMIT), (Precise(), ROUNDING)])
@pytest.mark.parametrize("number", ["pair", "four"])
def test_several_processes_train_as_one_does(
    number: str, network: Network, limit: float, wrapped: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    group: Group = request.getfixturevalue(number)
    assert differences(group, kinds(network, wrapped), tmp_path, limit) == {}


def test_faster_layers_craft_each_share(pair: Group, tmp_path: Path) -> None:
    asked = [Kind("lrat", wrapped=False, network=SmallCNN(width=8), faster=True)]
    assert differences(pair, asked, tmp_path, LIMIT) == {}


def test_the_first_process_alone_writes_files(pair: Group, tmp_path: Path) -> None:
    apart = pair.call(_files_of_its_own, tmp_path)
    assert apart == [["early.safetensors", "last.safetensors", "state-before.pt", "state.pt"], []]


def _files_of_its_own(peers: Peers, folder: Path) -> list[str]:
    own = folder / str(peers.rank)
    course(peers, Kind("standard", wrapped=False), own)
    return sorted(file.name for file in own.iterdir())
