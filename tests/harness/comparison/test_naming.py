"""Which entrants are meant, what differs between two, and families of pairs."""

from __future__ import annotations

from typing import Any

import pytest

from harness.comparison.comparison import families, rivals
from harness.comparison.naming import Where, find_one
from harness.errors import HarnessError, StoreError, UnknownName
from harness.leaderboard.board import Selection
from harness.statistics.paired import Crossed
from tests.harness.comparison.kept import CW, OTHER, PGD, SETTINGS, TRAINING, Kept, Put, run
from tests.stores import see_protocol
from tests.tiny import PROTOCOL_DOCUMENT


class TestFinding:
    def test_unknown_names(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11110000"]})
        put("lrat", {"pgd": ["11110000"]}, departures={"floor": "pgd"})
        with pytest.raises(UnknownName, match="unknown row 'lrat floor=pdg'; did you mean 'lrat floor=pgd'"):
            run(store, "sat", "lrat floor=pdg")
        with pytest.raises(StoreError, match="there is no run 99"):
            run(store, "99", "sat")
        assert run(store, "sat", "lrat floor=pgd").second.name == "lrat floor=pgd"

    def test_a_run_that_is_not_done(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11110000"]})
        for status in ("running", "failed"):
            number = put(status, {"pgd": ["11110000"]}, status=status)
            with pytest.raises(HarnessError, match=f"run {number} is {status}; only a run that is done"):
                run(store, "sat", str(number))

    def test_a_label_means_the_newest_attempts_and_a_number_any(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["00000000"]})
        put("sat", {"pgd": ["11111111"]}, attempt=2)
        put("lrat", {"pgd": ["11110000"]})
        assert run(store, "sat", "lrat").networks[0].first.number == 2
        assert run(store, "1", "2").networks[0].every.table == Crossed(0, 0, 8, 0)

    def test_the_same_network_is_refused(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11110000"]})
        for names in (("sat", "sat"), ("sat", "1"), ("1", "1")):
            with pytest.raises(HarnessError, match="are the same network"):
                run(store, *names)

    def test_of_checkpoints_the_last_that_both_have(self, store: Kept, put: Put) -> None:
        for method in ("sat", "lrat"):
            put(method, {"pgd": ["11110000"]}, checkpoint="early", epoch=2)
        assert run(store, "sat", "lrat").first.checkpoint == "early"
        for method in ("sat", "lrat"):
            put(method, {"pgd": ["11110001"]}, status="running")  # the same runs, at their end
        assert run(store, "sat", "lrat").first.checkpoint == "last"
        assert run(store, "sat", "lrat", checkpoint="early").first.checkpoint == "early"
        with pytest.raises(HarnessError, match="was not measured there, but on digits"):
            run(store, "sat", "lrat", checkpoint="middle")

    def test_several_networks_must_be_told_apart(self, store: Kept, put: Put) -> None:
        for network in ("smallcnn", "resnet18"):
            for method in ("sat", "lrat"):
                put(method, {"pgd": ["11110000"]}, network=network)
        with pytest.raises(HarnessError, match=r"measured on digits .* smallcnn .*; digits .* resnet18 .*; say which"):
            run(store, "sat", "lrat")
        assert run(store, "sat", "lrat", network="resnet18").networks[0].first.network == "resnet18"
        with pytest.raises(HarnessError, match="say which"):
            find_one(store, "sat", Where())
        assert find_one(store, "sat", Where(network="smallcnn")).networks[0].number == 1
        across = run(store, "1", "4")
        assert any("their networks differ, smallcnn and resnet18" in note for note in across.notes)

    def test_another_training_protocol_is_told(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11110000"]})
        put("lrat", {"pgd": ["11110000"]}, training={"epochs": 4})
        assert any("trained under different protocols" in note for note in run(store, "sat", "lrat").notes)
        with pytest.raises(HarnessError, match="lrat was not measured there"):
            run(store, "sat", "lrat", protocol="tiny")

    def test_a_protocol_with_a_wrapper_takes_the_networks_that_have_it(self, store: Kept, put: Put) -> None:
        awp = {"name": "awp", "settings": {"gamma": 0.005}, "departures": {}}
        document = {**PROTOCOL_DOCUMENT, "wrappers": {"awp": awp["settings"]}}
        see_protocol(store, SETTINGS, TRAINING, fingerprint="2" * 64, name="wrapped", document=document)
        plain = put("sat", {"pgd": ["11110000"]})
        wrapped = put("lrat", {"pgd": ["11110000"]}, wrappers=(awp,))
        assert find_one(store, str(wrapped), Where(protocol="wrapped")).networks[0].number == wrapped
        with pytest.raises(HarnessError, match="was not measured there"):
            find_one(store, str(plain), Where(protocol="wrapped"))


class TestOneProtocol:
    """Two protocols of one training, with other settings of one attack, such as another epsilon."""

    WEAKER = PGD | {"steps": 1}

    @pytest.fixture
    def both(self, store: Kept, put: Put) -> Kept:
        see_protocol(store, {"pgd": self.WEAKER}, TRAINING, fingerprint="2" * 64, name="weaker")
        for method, strong, weak in (("sat", "10000000", "11111110"), ("lrat", "11100000", "11110000")):
            put(method, {"pgd": [strong]})
            put(method, {"pgd": [weak]}, settings={"pgd": self.WEAKER}, status="running")  # on the same weights
        return store

    def test_it_chooses_the_settings_of_the_attack(self, both: Kept) -> None:
        for protocol, table in (("tiny", Crossed(1, 0, 2, 5)), ("weaker", Crossed(4, 3, 0, 1)), ("2222", None)):
            found = run(both, "sat", "lrat", protocol=protocol)
            assert found.protocol is not None
            assert found.protocol.fingerprint[0] == ("1" if protocol == "tiny" else "2")
            assert table is None or found.networks[0].every.table == table
            assert not any("other attack settings" in note for note in found.notes)

    def test_without_it_the_other_settings_are_told(self, both: Kept) -> None:
        found = run(both, "sat", "lrat")
        assert found.protocol is not None
        assert found.protocol.name == "tiny"
        note = "they were also measured with other attack settings, those of weaker [22222222]; --protocol chooses"
        assert note in found.notes

    def test_one_that_is_misspelt_is_refused(self, both: Kept) -> None:
        with pytest.raises(UnknownName, match="unknown protocol 'weakr'; did you mean 'weaker'"):
            run(both, "sat", "lrat", protocol="weakr")

    def test_it_leaves_out_attacks_that_it_does_not_have(self, both: Kept, put: Put) -> None:
        put("mart", {"pgd": ["10000000"]})
        with pytest.raises(HarnessError, match="mart has no complete evaluation by pgd; it has none"):
            run(both, "sat", "mart", "pgd", protocol="weaker")


class TestWhatDiffers:
    @pytest.mark.parametrize(
        ("other", "attack", "told"),
        [
            ({"dataset": OTHER}, None, r"sat was measured on digits \[dddddddd\], lrat on letters \[eeeeeeee\]"),
            ({"verdicts": {"pgd": ["1111"]}}, None, "pgd: 8 test images were attacked for the one, the first 4"),
            ({"settings": {"pgd": PGD | {"steps": 100}}}, None, "differ in pgd: steps is 20 and 100"),
            ({"first_seed": 5}, None, "differ in pgd: attack seeds 0 and 5"),
            ({"verdicts": {"cw": ["11110000"]}}, None, "sat was attacked by pgd, lrat by cw: no attack in common"),
            ({"verdicts": {"cw": ["11110000"]}}, "pgd", "lrat has no complete evaluation by pgd; it has cw"),
            ({}, "cww", "sat has no complete evaluation by cww; it has pgd"),
        ],
        ids=str,
    )
    def test_one_line_says_it(
        self, store: Kept, put: Put, other: dict[str, Any], attack: str | None, told: str
    ) -> None:
        put("sat", {"pgd": ["11110000"]})
        put("lrat", **({"verdicts": {"pgd": ["11000000"]}} | other))
        with pytest.raises(HarnessError, match=told) as refused:
            run(store, "sat", "lrat", attack)
        assert "\n" not in str(refused.value)

    def test_the_most_images_are_taken(self, store: Kept, put: Put) -> None:
        for method in ("sat", "lrat"):
            put(method, {"pgd": ["11110"]})
            put(method, {"pgd": ["11110000"]}, status="running")
        assert run(store, "sat", "lrat").column.examples == 8


class TestTheAttackThatNobodyNamed:
    """It is the last one of the protocol of which both rows have the most attacks."""

    @pytest.fixture
    def measured(self, store: Kept, put: Put) -> Kept:
        for method in ("sat", "lrat"):
            put(method, {attack: ["11110000"] for attack in SETTINGS})
        return store

    @pytest.mark.parametrize(
        "attacks",
        [("natural",), ("pgd",), ("cw",), ("pgd", "natural"), ("cw", "pgd")],
        ids=" ".join,
    )
    def test_a_later_protocol_of_fewer_attacks_changes_nothing(self, measured: Kept, attacks: tuple[str, ...]) -> None:
        assert run(measured, "sat", "lrat").column.name == "cw"
        fewer = {attack: SETTINGS[attack] for attack in attacks}
        see_protocol(measured, fewer, TRAINING, fingerprint="2" * 64, name="fewer")
        assert run(measured, "sat", "lrat").column.name == "cw"

    def test_nor_does_one_of_more_attacks_that_were_not_run(self, measured: Kept) -> None:
        others = {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}, "cw": CW, "pgd": PGD}
        see_protocol(measured, others, TRAINING, fingerprint="2" * 64, name="more")
        assert run(measured, "sat", "lrat").column.name == "cw"

    def test_of_equal_ones_the_newest_counts(self, measured: Kept) -> None:
        turned = {attack: SETTINGS[attack] for attack in ("natural", "cw", "pgd")}
        see_protocol(measured, turned, TRAINING, fingerprint="2" * 64, name="turned")
        assert run(measured, "sat", "lrat").column.name == "pgd"

    def test_an_attack_that_one_row_lacks_does_not_count(self, store: Kept, put: Put) -> None:
        put("sat", {attack: ["11110000"] for attack in SETTINGS})
        put("lrat", {"natural": ["11110000"], "pgd": ["11110000"]})
        assert run(store, "sat", "lrat").column.name == "pgd"

    def test_of_two_settings_of_it_those_that_were_evaluated_first(self, measured: Kept, put: Put) -> None:
        weaker = CW | {"kappa": 1.0}
        see_protocol(measured, SETTINGS | {"cw": weaker}, TRAINING, fingerprint="2" * 64, name="weaker")
        for method in ("sat", "lrat"):
            put(method, {"cw": ["11111111"]}, settings={"cw": weaker}, status="running")
        found = run(measured, "sat", "lrat")
        assert found.protocol is not None
        assert (found.column.name, found.protocol.name) == ("cw", "tiny")


class TestFamilies:
    def test_all_pairs_by_hand(self, store: Kept, put: Put) -> None:
        counts = {"a": 8, "b": 7, "c": 0}
        for method, right in counts.items():
            put(method, {"pgd": ["1" * right + "0" * (8 - right)]})
        put("elsewhere", {"pgd": ["11111111"]}, dataset=OTHER)
        (family,) = families(store, rivals(store, Selection(dataset="digits", sort="pgd")))
        assert (family.board.dataset, family.column.name) == ("digits", "pgd")
        # two-sided p of 1, 8, and 7 discordant images, all one way
        raw = {("a", "b"): 1.0, ("a", "c"): 2 / 2**8, ("b", "c"): 2 / 2**7}
        holm = {("a", "b"): 1.0, ("a", "c"): 3 * 2 / 2**8, ("b", "c"): 2 * 2 / 2**7}
        for pair, decision in family.pairs.items():
            assert decision is not None
            assert (decision.test, decision.p, decision.p_holm) == ("McNemar", raw[pair], holm[pair])
        assert list(family.pairs) == list(raw)

    def test_rows_of_one_label_are_told_apart(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11111111"]})
        put("sat", {"pgd": ["11110000"]}, network="resnet18")
        (family,) = families(store, rivals(store, Selection(sort="pgd")))
        assert list(family.pairs) == [("sat smallcnn", "sat resnet18")]

    def test_rows_of_one_name_are_all_there(self, store: Kept, put: Put) -> None:
        """As of versions whose defaults differ: the settings do, and what departs from the defaults does not."""
        for number, right in enumerate(("11111111", "11110000", "11000000")):
            put("sat", {"pgd": [right]}, hyper_parameters={"alpha": number})
        (family,) = families(store, rivals(store, Selection(sort="pgd")))
        assert [(*names, decision and decision.difference) for names, decision in family.pairs.items()] == [
            ("sat (run 1)", "sat (run 2)", 50.0),
            ("sat (run 1)", "sat (run 3)", 75.0),
            ("sat (run 2)", "sat (run 3)", 25.0),
        ]
