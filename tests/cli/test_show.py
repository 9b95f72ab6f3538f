"""harness show: what a word means, with near misses, and a clear line where it means two things."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.cli.setting_text import setting_text
from harness.store.store import Store
from tests.cli.conftest import Harness, Refused
from tests.first_board import FIRST_BOARD
from tests.stores import DIGITS


@pytest.fixture(autouse=True)
def board(elsewhere: Path) -> Path:
    """The published runs, and a model with the name of a method."""
    shutil.copy(FIRST_BOARD, "leaderboard.db")
    store = Store.write("leaderboard.db")
    facts: dict[str, Any] = {"network_settings": {}, "network_departures": {}, "provenance": {}}
    store.see_model("mart", DIGITS, sha256="d" * 64, network="x", parameters=9, **facts)
    store.close()
    return elsewhere / "leaderboard.db"


def test_a_method_an_attack_and_a_network_with_their_rows(harness: Harness) -> None:
    rows = {
        row["method"]: row
        for row in json.loads(harness("leaderboard --dataset digits --format json"))["rows"]
        if row["runs"]
    }
    method = json.loads(harness("show lrat --json"))["method"]
    (row,) = [row for row in method["rows"] if row["dataset"] == "digits" and row["attack"] == "autoattack"]
    assert (row["attack"], row["runs"]) == ("autoattack", rows["lrat"]["runs"])
    assert row["median"] == pytest.approx(rows["lrat"]["metrics"]["autoattack"]["median"])
    assert {setting["name"] for setting in method["settings"]} >= {"floor", "minimum"}
    attack = json.loads(harness("show pgd --json"))["attack"]
    assert {row["label"]: row["median"] for row in attack["rows"] if row["dataset"] == "digits"} == pytest.approx(
        {name: row["metrics"]["pgd"]["median"] for name, row in rows.items()}
    )
    assert len(json.loads(harness("show smallcnn --json"))["network"]["rows"]) == 14
    text = harness("show lrat")
    assert "Locally reweighted adversarial training." in text
    assert "runs 16, 17, 18, 19, 20" in text


def test_a_row_by_its_label(harness: Harness) -> None:
    document = json.loads(harness("show lrat --as row --json"))
    assert (document["row"], document["runs"]) == ("lrat", [16, 17, 18, 19, 20, 41])
    row, _ = document["rows"]
    assert (row["method"], row["rank"]) == ("lrat", 2)  # on its board, behind sat


def test_a_protocol_by_name_and_by_fingerprint(harness: Harness) -> None:
    by_name = json.loads(harness("show digits --as protocol --json"))
    assert by_name["protocol"]["name"] == "digits"
    used = by_name["used"][-1]
    assert used["attacks"] == ["natural", "pgd", "cw", "minimum-margin", "autoattack"]
    (same,) = json.loads(harness(f"show {used['fingerprint'][:8]} --json"))["used"]
    assert same == used
    assert f"digits [{used['fingerprint'][:8]}], used; runs: " in harness("show digits --as protocol")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lrad", "did you mean 'lrat'"),
        ("digits", "is the name of a dataset and of a protocol; say which, by --as dataset or --as protocol"),
        ("mart", "is the name of a model and of a method; say which, by --as model or --as method"),
        ("pgd --as method", "'pgd' is no method, but the name of an attack; leave out --as method"),
        ("pgd --as methods", "unknown kind 'methods'; did you mean 'method'"),
        ("99", "there is no run 99"),
    ],
)
def test_what_is_refused(refusal: Refused, name: str, said: str) -> None:
    assert said in refusal(f"show {name}")


def test_lengths_are_written_as_people_write_them() -> None:
    assert setting_text("epsilon", 8 / 255) == "8/255"
    assert setting_text("train.step_size", 2 / 255) == "2/255"
    assert setting_text("epsilon", 0.2) == "0.2"
    assert setting_text("lr", 8 / 255) == "0.0313725"
    assert setting_text("floor", "pgd") == "pgd"
