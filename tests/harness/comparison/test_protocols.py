"""In what two protocols differ: one change gives one setting, and equal fingerprints go with no setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.comparison.protocols import APART, protocol_difference
from harness.errors import HarnessError, UnknownName
from harness.store.store import Store
from tests.command import exit_code
from tests.harness.documents import toml
from tests.harness.planning.asked import job


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that has the protocol of digits, and two changes of it."""
    store = Store.write(str(tmp_path / "kept.db"))
    for made in (job(), job("cw.kappa=20"), job("train.clip_norm=1", protocol="fastat")):
        store.see_protocol(made.protocol_record(), made.protocol.training_document)
    return store


CHANGES: dict[str, tuple[dict[str, Any], dict[str, tuple[Any, Any]]]] = {
    "nothing": ({"train": {"epochs": 20}}, {}),
    "the radius": ({"epsilon": 0.1}, {"epsilon": (0.2, 0.1), "evaluation.epsilon": (0.2, 0.1)}),
    "said again": ({"evaluation": {"epsilon": 0.2, "norm": "Linf"}}, {}),
    "what came later": ({"train": {"clip_norm": 1.0}}, {"train.clip_norm": (None, 1.0)}),
    "an attack's": ({"attacks": {"cw": {"kappa": 20.0}}}, {"cw.kappa": (50.0, 20.0)}),
    "an attack's default": ({"attacks": {"pgd": {"keep": "last"}}}, {}),
    "checkpoints": ({"evaluation": {"checkpoints": ["early"]}}, {"evaluation.checkpoints": (("last",), ("early",))}),
    "a wrapper": (
        {"wrappers": {"awp": {"gamma": 0.02}}},
        {"wrappers": ((), ("awp",)), "awp.gamma": (None, 0.02), "awp.warm_up": (None, 0.0)},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_and_nothing_else(store: Store, tmp_path: Path, name: str) -> None:
    document, expected = CHANGES[name]
    file = tmp_path / "mine.toml"
    file.write_text(toml({"base": "digits", **document}))
    found = protocol_difference(store, "digits", str(file))
    assert {each.key: (each.first, each.second) for each in found.settings} == expected
    assert found.same == (expected.keys() <= set(APART))
    assert bool(found.note) == (name == "checkpoints")


def test_stored_protocols_are_found_by_a_fingerprint_and_are_what_ships(store: Store) -> None:
    digits, changed, clipped = store.protocols()
    found = protocol_difference(store, digits.fingerprint[:12], "digits")
    assert (found.same, found.settings) == (True, ())
    (only,) = protocol_difference(store, digits.fingerprint, changed.fingerprint).settings
    assert (only.key, only.first, only.second) == ("cw.kappa", 50.0, 20.0)
    (only,) = protocol_difference(store, "fastat", clipped.fingerprint[:8]).settings
    assert (only.key, only.second) == ("train.clip_norm", 1.0)
    with pytest.raises(UnknownName, match="unknown protocol 'papr'; did you mean 'paper'"):
        protocol_difference(store, "digits", "papr")
    with pytest.raises(HarnessError, match=r"'digits' is several protocols, digits \[.*\], digits \[.*\]; write more"):
        with_used_first(store)


def with_used_first(store: Store) -> None:
    """Ask for a name that two used protocols have, as where the name does not ship."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.comparison.protocols.load_protocol", unknown)
        protocol_difference(store, "digits", "digits")


def unknown(name: str) -> None:
    raise UnknownName("protocol", name, ["paper"])


def test_the_command_and_the_interface_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = str(tmp_path / "kept.db")
    Store.write(db).close()
    assert exit_code(f"harness protocol diff rice2020 pang2021 --json --db {db}") == 0
    told = json.loads(capsys.readouterr().out)
    keys = [each["key"] for each in told["settings"]]
    assert keys == ["train.epochs", "train.lr_drops", "train.early"]
    with harness.open(db) as results:
        table = results.protocol_diff("rice2020", "pang2021")
        assert [row["setting"] for row in table] == keys
        same = results.protocol_diff("paper", "paper")
        assert (len(same), same.notes[0].startswith("paper and paper are the same protocol [")) == (0, True)
    assert exit_code(f"harness protocol diff rice2020 pang2021 --db {db}") == 0
    text = capsys.readouterr().out
    assert f"rice2020 [{told['first']['fingerprint'][:8]}]" in text
    assert "train.epochs" in text
    assert exit_code(f"harness protocol diff paper ppaer --db {db}") == 2
