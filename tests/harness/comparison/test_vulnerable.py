"""The images that are vulnerable under attacks and networks, and the classes behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.document import vulnerable_document
from harness.comparison.labels import Labels, known_labels, labels_of
from harness.comparison.naming import Where, find_one, find_two
from harness.comparison.text import vulnerable_parts
from harness.comparison.vulnerable import attacks_agree, networks_agree
from harness.errors import HarnessError
from harness.identity import digest
from harness.store.records import DatasetRecord
from tests.harness.comparison.kept import PGD, SETTINGS, Kept, Put


class TestVulnerable:
    def test_two_networks_by_hand(self, store: Kept, put: Put) -> None:
        v = {("pgd", 0): [0.5, -0.9, 0.1, -0.8, 0.9, 0.8, 0.7, 0.6]}
        w = {("pgd", 0): [0.5, -0.9, -0.8, 0.1, 0.9, 0.8, 0.7, 0.6]}
        put("sat", {"pgd": ["10101111"]}, margins=v)
        put("lrat", {"pgd": ["10011111"]}, margins=w)
        (found,) = networks_agree(store, *find_two(store, "sat", "lrat", Where()), share=0.25)
        (seed,) = found.seeds
        assert (found.names, seed.seed) == (("sat", "lrat"), 0)
        assert (seed.sets.first, seed.sets.second) == ((1, 3), (1, 2))
        assert (seed.first, seed.second) == (v["pgd", 0], w["pgd", 0])

    def test_two_attacks_on_each_network(self, store: Kept, put: Put) -> None:
        for train_seed in (0, 1):
            v = {
                ("pgd", 0): [-1.0, 0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
                ("cw", 0): [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.0, -1.0],
            }
            put("sat", {"pgd": ["10101111"], "cw": ["10101111", "11111111"]}, train_seed, margins=v)
        found = attacks_agree(store, find_one(store, "sat", Where()), ["pgd", "cw"])
        assert [(f.networks[0].train_seed, [s.seed for s in f.seeds]) for f in found] == [(0, [0]), (1, [0])]
        sets = found[0].seeds[0].sets
        assert (sets.first, sets.second, sets.overlap) == ((0, 1), (6, 7), 0.0)

    def test_networks_are_compared_under_one_setting_of_an_attack(self, store: Kept, put: Put) -> None:
        """Run 1 has both settings of PGD, run 2 the weaker one, run 3 no CW: the weaker one is compared on two."""
        v = {(attack, 0): [0.1] * 8 for attack in ("pgd", "cw")}
        weaker = {**SETTINGS, "pgd": {"steps": 1, "block_size": 4}}
        both = {"pgd": ["10101111"], "cw": ["10101111"]}
        put("sat", both, 0, margins=v)
        put("sat", {"pgd": ["11111111"]}, 0, margins=v, settings=weaker, status="running")  # on the same weights
        put("sat", both, 1, margins=v, settings=weaker)
        put("sat", {"pgd": ["10101111"]}, 2, margins=v, settings=weaker)
        found = attacks_agree(store, find_one(store, "sat", Where()), ["pgd", "cw"])
        assert [f.networks[0].number for f in found] == [1, 2]
        assert [f.columns[0].attacks for f in found] == [{"pgd": digest(weaker["pgd"])}] * 2
        told = (
            "not compared: run 3; pgd and cw did not attack the same images with these settings and a common seed",
            "also measured with other settings of pgd or cw; --protocol chooses",
        )
        assert {f.notes for f in found} == {told}

    @pytest.mark.parametrize("attacks", [["pgd"], ["pgd", "pgd"], ["pgd", "cw", "natural"]], ids=str)
    def test_two_attacks_are_two(self, store: Kept, put: Put, attacks: list[str]) -> None:
        put("sat", {"pgd": ["10101111"], "cw": ["10101111"]})
        with pytest.raises(HarnessError, match="name two different attacks"):
            attacks_agree(store, find_one(store, "sat", Where()), attacks)

    def test_what_is_missing_is_told(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["10101111"], "natural": ["1111"]})
        sat = find_one(store, "sat", Where())
        with pytest.raises(HarnessError, match="sat has no complete evaluation by cw; it has natural, pgd"):
            attacks_agree(store, sat, ["pgd", "cw"])
        with pytest.raises(HarnessError, match="pgd and natural have no test images or no attack seed in common"):
            attacks_agree(store, sat, ["pgd", "natural"])
        with pytest.raises(HarnessError, match="sat has no complete evaluation by worst_case; it has natural, pgd"):
            attacks_agree(store, sat, ["pgd", "worst_case"])
        put("lrat", {"pgd": ["10101111"]})
        with pytest.raises(
            HarnessError, match="sat: pgd with seed 0 was evaluated before the vulnerability of each image"
        ):
            networks_agree(store, *find_two(store, "sat", "lrat", Where()))


class TestLabels:
    def test_bundled_images_have_theirs(self) -> None:
        from harness.data.digits import Digits

        dataset = Digits().load(Path("nowhere"))
        record = DatasetRecord("digits", dataset.fingerprint, 1437, 360, 1, 8, 8, 10)
        found = known_labels(record, None, ())
        assert isinstance(found, Labels)
        assert found == Labels(dataset.test.labels.tolist(), tuple("0123456789"))

    def test_equal_names_are_told_apart(self) -> None:
        from harness.data.digits import Digits

        dataset = replace(Digits().load(Path("nowhere")), classes=("ant", "bee", "ant", *"3456789"))
        record = DatasetRecord("digits", dataset.fingerprint, 1437, 360, 1, 8, 8, 10)
        found = labels_of(dataset, record)
        assert isinstance(found, Labels)
        assert found.names == ("ant (class 0)", "bee", "ant (class 2)", *"3456789")

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("digits", r"digits \[[0-9a-f]{8}\] is not the one evaluated"),
            ("cifar10", "give --data-dir, the folder in which cifar10 lies"),
            ("folder:mine", "give --dataset folder:PATH"),
            ("unheard-of", "there is no data set unheard-of"),
        ],
    )
    def test_why_they_are_not_known(self, name: str, told: str) -> None:
        import re

        record = DatasetRecord(name, "0" * 64, 1, 1, 1, 8, 8, 10)
        found = known_labels(record, None, ())
        assert isinstance(found, str)
        assert re.search(told, found)


def test_other_settings_of_the_attack_are_told(store: Kept, put: Put) -> None:
    other = PGD | {"steps": 1}
    for method in ("sat", "lrat"):
        put(method, {"pgd": ["10"]}, margins={("pgd", 0): [0.1, -0.2]})
        put(method, {"pgd": ["11"]}, settings={"pgd": other}, status="running")  # on the same weights
    (found,) = networks_agree(store, *find_two(store, "sat", "lrat", Where()), share=0.5)
    assert found.notes == ("they were also measured with other attack settings; --protocol chooses",)
    (document,) = vulnerable_document([found])["pairs"]
    assert document["notes"] == list(found.notes)
    assert found.notes[0] in " ".join(str(part) for part in vulnerable_parts([found]))
