"""Entries of RobustBench's leaderboard: reading and writing gives the same document, in each of their spellings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.robustbench.entry import Entry, read_entry, spell_epsilon, spell_percent, write_entry

# the example of RobustBench's documentation (leaderboard/template.py)
DOCUMENTED: dict[str, Any] = {
    "link": "https://arxiv.org/abs/2003.09461",
    "name": "Adversarial Robustness on In- and Out-Distribution Improves Explainability",
    "authors": "Maximilian Augustin, Alexander Meinke, Matthias Hein",
    "additional_data": True,
    "number_forward_passes": 1,
    "dataset": "cifar10",
    "venue": "ECCV 2020",
    "architecture": "ResNet-50",
    "eps": "0.5",
    "clean_acc": "91.08",
    "reported": "73.27",
    "autoattack_acc": "72.91",
}
# the shapes that its files have: (document, epsilon, clean, AutoAttack)
ENTRIES = {
    "documented": (DOCUMENTED, 0.5, 91.08, 72.91),
    "fraction": (DOCUMENTED | {"eps": "8/255"}, 8 / 255, 91.08, 72.91),
    "decimal-text": (DOCUMENTED | {"eps": "0.031"}, 0.031, 91.08, 72.91),
    "decimal-number": (DOCUMENTED | {"eps": 0.0314, "clean_acc": 91.08}, 0.0314, 91.08, 72.91),
    "no-decimals": (DOCUMENTED | {"reported": "58", "autoattack_acc": "0.0"}, 0.5, 91.08, 0.0),
    "trailing-zero": (DOCUMENTED | {"autoattack_acc": "18.50"}, 0.5, 91.08, 18.5),
    "adaptive-attack": (
        DOCUMENTED
        | {"eps": "4/255", "external": "7.15", "unreliable": True, "footnote": "Uses \\(\\ell_{\\infty} \\) ≈ 7.9/255"},
        4 / 255,
        91.08,
        72.91,
    ),
    "written-by-its-own-script": (
        dict.fromkeys(["link", "name", "authors", "additional_data", "number_forward_passes"])
        | {"dataset": "cifar10", "venue": None, "architecture": None, "eps": 0.03137254901960784}
        | {
            "clean_acc": "84.92",
            "reported": None,
            "corruptions_acc": None,
            "autoattack_acc": "53.08",
            "footnote": None,
        },
        8 / 255,
        84.92,
        53.08,
    ),
    "corruptions": (
        {k: v for k, v in DOCUMENTED.items() if k != "autoattack_acc"} | {"eps": None, "corruptions_acc": "89.09"},
        None,
        91.08,
        None,
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
class TestRoundTrip:
    def test_reading_and_writing_gives_the_same_text(self, name: str) -> None:
        text = json.dumps(ENTRIES[name][0], indent=2) + "\n"  # as RobustBench writes them
        assert write_entry(read_entry(text)) == text

    def test_through_a_file_and_in_any_layout(self, name: str, tmp_path: Path) -> None:
        file = tmp_path / "entry.json"
        file.write_text(json.dumps(ENTRIES[name][0], ensure_ascii=False), encoding="utf-8")  # one line, as older files
        entry = read_entry(file)
        again = json.loads(write_entry(entry))
        assert again == ENTRIES[name][0]
        assert list(again) == list(ENTRIES[name][0])
        assert read_entry(write_entry(entry)) == entry

    def test_the_numbers_are_read(self, name: str) -> None:
        document, epsilon, clean, autoattack = ENTRIES[name]
        entry = Entry(document)
        assert entry.epsilon == epsilon
        assert (entry.number("clean_acc"), entry.number("autoattack_acc")) == (clean, autoattack)


@pytest.mark.parametrize(
    ("epsilon", "text"),
    [
        (8 / 255, "8/255"),
        (4 / 255, "4/255"),
        (1 / 255, "1/255"),
        (0.5, "0.5"),
        (0.031, "0.031"),
        (0.0314, "0.0314"),
        (0.2, "0.2"),  # and not 51/255
        (1.0, "1"),
        (0.0, "0"),
        (0.0313, "0.0313"),
        (1 / 3, "85/255"),
        (0.123456789, "0.123456789"),
    ],
)
def test_epsilon_is_spelled_as_theirs(epsilon: float, text: str) -> None:
    assert spell_epsilon(epsilon) == text


@given(st.floats(0, 1) | st.integers(0, 255).map(lambda level: level / 255))
def test_every_spelling_of_epsilon_is_read_back_to_the_last_bit(epsilon: float) -> None:
    assert Entry({"eps": spell_epsilon(epsilon)}).epsilon == epsilon
    assert Entry({"eps": epsilon}).epsilon == epsilon


@pytest.mark.parametrize("filler", [" ", "1"])
def test_a_text_of_a_million_characters_takes_no_hour(filler: str) -> None:
    with pytest.raises(HarnessError, match="is refused: it must be a number"):
        Entry({"eps": f"1{filler * 1_000_000}x"})


def test_accuracies_are_texts_with_two_decimals() -> None:
    assert [spell_percent(p) for p in (91.083, 0.0, 100.0, 72.9166)] == ["91.08", "0.00", "100.00", "72.92"]


def test_an_update_keeps_what_it_does_not_name() -> None:
    entry = Entry(DOCUMENTED | {"unreliable": False}).updated({"clean_acc": "90.00", "footnote": "new"})
    assert entry.document == DOCUMENTED | {"unreliable": False, "clean_acc": "90.00", "footnote": "new"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[1]", "is no entry of RobustBench"),
        ("{}", "is no entry of RobustBench"),
        ('{"rows": []}', "is no entry of RobustBench"),
        ('{"eps": "large"}', "eps='large' is refused: it must be a number, such as \"8/255\""),
        ('{"eps": "8/0"}', "eps='8/0' is refused"),
        ('{"eps": "8/255/2"}', "eps='8/255/2' is refused"),
        ('{"eps": true}', "eps=True is refused"),
        ('{"eps": [8]}', "eps=[8] is refused"),
        ('{"eps": NaN}', "write 8/255 or a decimal"),
        ('{"clean_acc": "101"}', "clean_acc='101' is refused: accuracies are percentages, such as 91.08"),
        ('{"autoattack_acc": -3}', "autoattack_acc=-3 is refused"),
        ('{"autoattack_acc": "n/a"}', "autoattack_acc='n/a' is refused"),
    ],
)
def test_what_is_no_entry_is_refused(text: str, told: str) -> None:
    with pytest.raises(HarnessError) as refused:
        read_entry(text)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"missing\.json cannot be read"):
        read_entry(tmp_path / "missing.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HarnessError, match=r"bytes\.json cannot be read"):
        read_entry(tmp_path / "bytes.json")


@pytest.mark.parametrize("spelling", ["", "null", " ", "None"])
def test_a_figure_that_is_not_known_stays_as_it_is_spelled(spelling: str) -> None:
    document = {"eps": "8/255", "clean_acc": "89.27", "reported": spelling, "autoattack_acc": "59.68"}
    entry = read_entry(json.dumps(document))
    assert entry.number("reported") is None
    assert entry.number("autoattack_acc") == 59.68
    assert json.loads(write_entry(entry))["reported"] == spelling
