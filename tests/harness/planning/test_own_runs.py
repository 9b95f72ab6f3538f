"""What a target names of the store: runs by number and by file, and the protocol that a run is attacked under."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SettingError, StoreError
from harness.planning.own_runs import OwnTarget, own_target, own_weights, stored_protocol
from harness.protocols.protocol import Protocol, load_protocol
from harness.store.store import Store
from tests.stores import add_evaluation, make_spec, see_protocol, start

OWN = load_protocol("digits")
SMALLER = OWN.with_values({"evaluation.epsilon": 0.1})
CONTENT = b"weights of a network"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs: making one takes longer than all that is done with it."""
    file = tmp_path_factory.mktemp("empty") / "results.db"
    Store.write(str(file)).close()
    return file


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> Store:
    return Store.write(str(shutil.copy(empty, tmp_path)))


def settings(protocol: Protocol) -> dict[str, dict[str, Any]]:
    return {name: {"attack": name, "epsilon": protocol.evaluation_threat.epsilon} for name in ("pgd", "cw")}


def see(store: Store, protocol: Protocol) -> None:
    document, named = protocol.document(), {"fingerprint": protocol.fingerprint, "name": protocol.name}
    see_protocol(store, settings(protocol), protocol.training_document, document=document, **named)


def add(store: Store, attempt: int = 1, content: bytes = CONTENT, done: bool = True) -> int:
    """A run with two checkpoints; its number."""
    wrappers = ({"name": "ema", "settings": {}, "departures": {}},)
    fields: dict[str, Any] = {"network_settings": {"width": 4}, "train_seed": 7, "wrappers": wrappers}
    run = start(store, make_spec(training=OWN.training_document, **fields), attempt=attempt)
    store.add_checkpoint(run.id, "early", 1, "e" * 64)
    store.add_checkpoint(run.id, "last", 2, hashlib.sha256(content).hexdigest())
    if done:
        store.end_run(run.id)
    return run.id


def attack(store: Store, number: int, *of: Protocol) -> None:
    """The run goes through the attacks of some protocols, one after the other."""
    for protocol in of:
        checkpoint = store.run(number).checkpoints[-1]
        for name, of_attack in settings(protocol).items():
            add_evaluation(store, checkpoint, name, of_attack, bytes(2))


def test_a_number_names_a_run_and_with_a_name_its_checkpoint(store: Store) -> None:
    number = add(store)
    run = store.run(number)
    assert own_target("1", store) == OwnTarget(run, None)
    assert own_target("1:early", store) == OwnTarget(run, "early")
    for text in ("mynet:make", "weights.pt", "robustbench:X", "1:2", "-1", "x1"):
        assert own_target(text, store) is None


def test_what_is_no_trained_network_is_refused(store: Store) -> None:
    add(store, done=False)
    store.end_run(add(store, attempt=2, done=False), failure="the loss is not finite")
    add(store, attempt=3)
    with pytest.raises(SettingError, match="run 1 is running; only a network that is trained"):
        own_target("1", store)
    with pytest.raises(SettingError, match="run 2 is failed; only a network that is trained"):
        own_target("2:last", store)
    with pytest.raises(SettingError, match="run 3 has no checkpoint 'best'; write 3:early or 3:last"):
        own_target("3:best", store)
    with pytest.raises(StoreError, match="no run 4"):
        own_target("4", store)


def test_a_file_names_the_newest_attempt_that_is_done_and_has_its_bytes(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "copy.safetensors"
    file.write_bytes(CONTENT)
    assert own_target(str(file), store) is None
    add(store, done=False)
    assert own_target(str(file), store) is None
    older, newer = add(store, attempt=2), add(store, attempt=3)
    add(store, attempt=4, content=b"other weights")
    found = own_target(str(file), store)
    assert found == OwnTarget(store.run(newer), "last", file)
    assert newer != older
    for name in ("copy.pt", "copy"):  # a name makes no model from elsewhere of it
        (tmp_path / name).write_bytes(CONTENT)
        assert own_target(str(tmp_path / name), store) == OwnTarget(store.run(newer), "last", tmp_path / name)
    assert own_target(str(tmp_path), store) is None


def test_its_weights_are_those_of_the_checkpoint_in_the_file_that_was_named(store: Store, tmp_path: Path) -> None:
    run = store.run(add(store))
    (early,) = own_weights(OwnTarget(run, "early"), OWN, tmp_path)
    assert (early.checkpoint, early.sha256) == ("early", "e" * 64)
    assert vars(early)["file"] == tmp_path / run.folder / "early.safetensors"
    assert vars(early)["spec"].identity == run.identity
    (last,) = own_weights(OwnTarget(run, "last", tmp_path / "copy.safetensors"), OWN, tmp_path)
    assert vars(last)["file"] == tmp_path / "copy.safetensors"
    both = OWN.with_values({"evaluation.checkpoints": "early,last"})
    assert [weights.checkpoint for weights in own_weights(OwnTarget(run, None), both, tmp_path)] == ["early", "last"]


@pytest.mark.parametrize("seen", [(OWN, SMALLER), (SMALLER, OWN)], ids=["first", "after another"])
@pytest.mark.parametrize(
    ("went", "expected"),
    [((OWN,), OWN), ((OWN, SMALLER), OWN), ((SMALLER, OWN), SMALLER), ((SMALLER,), SMALLER)],
)
def test_a_runs_protocol_is_the_first_that_it_went_through(
    seen: tuple[Protocol, ...], went: tuple[Protocol, ...], expected: Protocol, store: Store
) -> None:
    for protocol in seen:
        see(store, protocol)
    number = add(store)
    attack(store, number, *went)
    assert stored_protocol(store.run(number), store) == expected


def test_of_a_run_that_went_through_none_it_is_the_first_of_its_training(store: Store) -> None:
    for protocol in (OWN.with_values({"train.epochs": 3}), SMALLER, OWN):
        see(store, protocol)
    run = store.run(add(store))
    assert stored_protocol(run, store).evaluation_threat.epsilon == 0.1
