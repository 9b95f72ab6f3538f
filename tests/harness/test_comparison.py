"""Comparisons of two entrants on a store made by hand: what is found, what is refused, and every number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from harness.errors import HarnessError, StoreError, UnknownName
from harness.evaluation.intervals import Interval
from harness.evaluation.paired import Crossed
from harness.events import BlockDone
from harness.identity import digest
from harness.leaderboard.board import Selection
from harness.leaderboard.classes import Labels, known_labels, labels_of
from harness.leaderboard.comparison import Comparison, compare
from harness.leaderboard.families import families
from harness.leaderboard.finding import Where, find_one, find_two
from harness.leaderboard.pairs import MCNEMAR, Decision
from harness.leaderboard.vulnerable import attacks_agree, networks_agree
from harness.spec import RunSpec
from harness.store.records import DatasetRecord, ProtocolRecord
from harness.store.store import Store
from tests.tiny import PROTOCOL_DOCUMENT

DIGITS = DatasetRecord("digits", "d" * 64, 20, 8, 1, 8, 8, 10)
OTHER = DatasetRecord("letters", "e" * 64, 20, 8, 1, 8, 8, 10)
TRAINING = {"epochs": 3}
PGD, CW, NATURAL = {"steps": 20, "block_size": 4}, {"kappa": 50.0, "block_size": 4}, {"natural": True}
SETTINGS: dict[str, dict[str, Any]] = {"natural": NATURAL, "pgd": PGD, "cw": CW}
UNKNOWN = "no labels here"

Put = Callable[..., int]


class Kept(Store):
    """A store that has the vulnerability of some evaluations' images."""

    kept: dict[int, list[float]]

    def margins(self, evaluation_id: int) -> list[float] | None:
        return self.kept.get(evaluation_id)


@pytest.fixture
def store() -> Kept:
    store = Kept.read("sqlite://")  # in memory
    assert isinstance(store, Kept)
    store.kept = {}
    attacks = {name: digest(settings) for name, settings in SETTINGS.items()}
    store.see_protocol(ProtocolRecord("1" * 64, "tiny", digest(TRAINING), attacks, PROTOCOL_DOCUMENT), TRAINING)
    return store


@pytest.fixture
def put(store: Kept) -> Put:
    """Keep a trained network: attack -> verdicts such as "1101", one a seed; gives the run's number."""

    def put(
        method: str,
        verdicts: dict[str, list[str]],
        train_seed: int = 0,
        *,
        dataset: DatasetRecord = DIGITS,
        training: dict[str, Any] = TRAINING,
        network: str = "smallcnn",
        checkpoint: str = "last",
        epoch: int = 3,
        settings: dict[str, dict[str, Any]] = SETTINGS,
        margins: dict[tuple[str, int], list[float]] | None = None,
        first_seed: int = 0,
        departures: dict[str, Any] | None = None,
        attempt: int = 1,
        status: str = "done",
    ) -> int:
        spec = RunSpec(
            method=method,
            method_settings=departures or {},
            network=network,
            network_settings={},
            dataset=dataset.name,
            dataset_fingerprint=dataset.fingerprint,
            training=training,
            train_seed=train_seed,
        )
        words: dict[str, Any] = {"method_departures": departures or {}, "network_departures": {}}
        run = store.start_run(spec, dataset, **words, parameters=1, provenance={}, attempt=attempt)
        store.add_checkpoint(run.id, checkpoint, epoch, digest([run.id, checkpoint]))
        kept = store.run(run.id).checkpoint(checkpoint)
        assert kept is not None
        for attack, several in verdicts.items():
            for seed, digits in enumerate(several, start=first_seed):
                number = store.open_evaluation(kept.id, attack, settings[attack], seed, len(digits), {})
                whole = bytes(map(int, digits))
                for start in (0, 4):  # two blocks, of which the second is no whole byte
                    store.add_block(BlockDone(number, start, whole[start : start + 4 if start == 0 else None], 1.0, ()))
                if margins and (attack, seed) in margins:
                    store.kept[number] = margins[attack, seed]
        if status != "running":
            store.end_run(run.id, failure=None if status == "done" else "it failed")
        return run.id

    return put


def run(store: Store, first: str, second: str, attack: str | None = None, **where: Any) -> Comparison:
    return compare(store, *find_two(store, first, second, Where(**where)), attack, UNKNOWN)


class TestVerdicts:
    def test_many_at_once_equal_one_by_one(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11010011", "00000001"], "natural": ["1111111"]})
        put("lrat", {"pgd": ["10101010"]})
        numbers = [e.id for r in store.runs() for c in r.checkpoints for e in c.evaluations]
        assert store.verdicts_of(numbers) == {number: store.verdicts(number) for number in numbers}
        assert store.verdicts_of(numbers)[numbers[0]] == bytes([1, 1, 0, 1, 0, 0, 1, 1])
        assert store.verdicts_of([]) == {}


class TestOneNetworkEach:
    @pytest.fixture
    def found(self, store: Kept, put: Put) -> Comparison:
        put("sat", {"natural": ["11111111"], "pgd": ["11110001", "11101001"]})
        put("lrat", {"natural": ["11111110"], "pgd": ["11000011", "10000001"]})
        labels = Labels([0, 1, 0, 1, 0, 1, 0, 3], ["a", "b", "c", "d"])
        return compare(store, *find_two(store, "sat", "lrat", Where()), None, labels)

    def test_every_number_by_hand(self, found: Comparison) -> None:
        (pair,) = found.networks
        assert (found.column.name, found.column.examples) == ("pgd", 8)  # the last of the protocol that both have
        assert pair.attack_seeds == {"pgd": [0, 1]}
        assert pair.by_seed[0].table == Crossed(3, 2, 1, 2)
        assert pair.by_seed[0].p == 1.0  # 2 against 1
        assert pair.by_seed[1].table == Crossed(2, 3, 0, 3)
        assert pair.by_seed[1].p == 2 / 2**3
        # under both seeds sat is right on 0, 1, 2, 7 and lrat on 0, 7
        assert pair.every.table == Crossed(2, 2, 0, 4)
        assert pair.every.p == 2 / 2**2
        assert pair.every.table.difference == 25.0
        assert pair.interval == Interval(0.0, 62.5)  # quantiles of Binomial(8, 1/4): 0 at 2.5 %, 5 at 97.5 %
        assert found.methods is None
        assert any("one network each" in note for note in found.notes)

    def test_classes_by_hand(self, found: Comparison) -> None:
        classes = found.networks[0].classes
        assert classes is not None
        assert {name: test.table for name, test in classes.items()} == {  # no image is of class c
            "a": Crossed(1, 1, 0, 2),
            "b": Crossed(0, 1, 0, 2),
            "d": Crossed(1, 0, 0, 0),
        }
        assert {test.p_holm for test in classes.values()} == {1.0}

    def test_it_is_the_same_from_the_other_side(self, store: Kept, found: Comparison) -> None:
        turned = run(store, "lrat", "sat").networks[0]
        ours = found.networks[0]
        assert turned.every.table.difference == -ours.every.table.difference
        assert turned.every.p == ours.every.p

    def test_without_labels_it_says_so(self, store: Kept, found: Comparison) -> None:
        bare = run(store, "sat", "lrat")
        assert bare.networks[0].classes is None
        assert f"no differences by class: {UNKNOWN}" in bare.notes

    def test_another_attack_by_name(self, store: Kept, found: Comparison) -> None:
        natural = run(store, "sat", "lrat", "natural").networks[0]
        assert natural.every.table == Crossed(7, 1, 0, 0)

    def test_runs_by_number(self, store: Kept, found: Comparison) -> None:
        by_number = run(store, "1", "2")
        assert by_number.networks[0].every == found.networks[0].every
        assert (by_number.first.name, by_number.second.name) == ("run 1 (sat)", "run 2 (lrat)")


class TestWorstCase:
    def test_by_hand(self, store: Kept, put: Put) -> None:
        put("sat", {"natural": ["11111101"], "pgd": ["11110011", "11101011"], "cw": ["11111100"]})
        put("lrat", {"natural": ["11111111"], "pgd": ["11000011", "10000011"], "cw": ["10111101", "10000000"]})
        found = run(store, "sat", "lrat", "worst_case")
        (pair,) = found.networks
        assert pair.attack_seeds == {"natural": [0], "pgd": [0, 1], "cw": [0]}  # seeds that both have
        assert pair.every.table == Crossed(1, 2, 1, 4)  # sat is right on 0, 1, 2; lrat on 0 and 7
        assert pair.by_seed == {}

    def test_it_needs_every_attack(self, store: Kept, put: Put) -> None:
        for method in ("sat", "lrat"):
            put(method, {"natural": ["11111101"], "pgd": ["11110011"]})
        with pytest.raises(HarnessError, match="no worst case in common: it needs every attack of a protocol"):
            run(store, "sat", "lrat", "worst_case")


class TestTrainingSeeds:
    def test_networks_of_one_seed_are_paired(self, store: Kept, put: Put) -> None:
        ours = {0: "11110000", 1: "11111000", 2: "11111100", 5: "11111111"}
        theirs = {2: "11110000", 1: "11100000", 0: "11000000", 7: "00000000"}
        for seed, digits in ours.items():
            put("sat", {"pgd": [digits]}, seed)
        for seed, digits in theirs.items():
            put("lrat", {"pgd": [digits]}, seed)
        found = run(store, "sat", "lrat")
        assert [(n.first.train_seed, n.second.train_seed) for n in found.networks] == [(0, 0), (1, 1), (2, 2)]
        assert [n.every.table.difference for n in found.networks] == [25.0] * 3
        assert found.methods is not None
        assert (found.methods.difference, found.methods.p, found.methods.n) == (25.0, None, 3)

    def test_over_training_seeds_by_scipy(self, store: Kept, put: Put) -> None:
        ours = [["11110000", "11111100", "11111000"], ["11111000"], ["11111110"], ["11111111"]]
        theirs = [["11110000", "11000000"], ["11100000"], ["11111000"], ["11111110"]]
        for seed in range(4):
            put("sat", {"pgd": ours[seed]}, seed)
            put("lrat", {"pgd": theirs[seed]}, seed)
        methods = run(store, "sat", "lrat").methods
        # of the first pair two attack seeds are common: medians 62.5 and 37.5
        expected = stats.ttest_rel([62.5, 62.5, 87.5, 100.0], [37.5, 37.5, 62.5, 87.5])
        assert methods is not None
        assert methods.p == pytest.approx(expected.pvalue)
        assert methods.difference == pytest.approx(21.875)

    def test_without_a_common_seed_the_first_networks_are_compared(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11110000"]}, 0)
        put("lrat", {"pgd": ["11000000"]}, 1)
        found = run(store, "sat", "lrat")
        assert [n.every.table for n in found.networks] == [Crossed(2, 2, 0, 4)]
        assert any("no training seed in common" in note for note in found.notes)


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
        assert run(store, "sat", "lrat", arch="resnet18").networks[0].first.arch == "resnet18"
        with pytest.raises(HarnessError, match="say which"):
            find_one(store, "sat", Where())
        assert find_one(store, "sat", Where(arch="smallcnn")).networks[0].number == 1
        across = run(store, "1", "4")
        assert any("their networks differ, smallcnn and resnet18" in note for note in across.notes)

    def test_another_training_protocol_is_told(self, store: Kept, put: Put) -> None:
        put("sat", {"pgd": ["11110000"]})
        put("lrat", {"pgd": ["11110000"]}, training={"epochs": 4})
        assert any("trained under different protocols" in note for note in run(store, "sat", "lrat").notes)
        with pytest.raises(HarnessError, match="lrat was not measured there"):
            run(store, "sat", "lrat", protocol="tiny")


class TestWhatDiffers:
    @pytest.mark.parametrize(
        ("other", "attack", "told"),
        [
            ({"dataset": OTHER}, None, r"sat was measured on digits \[dddddddd\], lrat on letters \[eeeeeeee\]"),
            ({"verdicts": {"pgd": ["1111"]}}, None, "pgd: 8 test images were attacked, and the first 4 test images"),
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


class TestFamilies:
    def test_all_pairs_by_hand(self, store: Kept, put: Put) -> None:
        counts = {"a": 8, "b": 7, "c": 0}
        for method, right in counts.items():
            put(method, {"pgd": ["1" * right + "0" * (8 - right)]})
        put("elsewhere", {"pgd": ["11111111"]}, dataset=OTHER)
        (family,) = families(store, Selection(dataset="digits", sort="pgd"))
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
        (family,) = families(store, Selection(sort="pgd"))
        assert list(family.pairs) == [("sat smallcnn", "sat resnet18")]


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
            ("digits", r"digits is here \[[0-9a-f]{8}\], not as it was evaluated"),
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


def test_significant_is_what_holds_over_the_family() -> None:
    assert not Decision(MCNEMAR, 8, 1.0, None, 0.03, 0.06).significant
    assert Decision(MCNEMAR, 8, 1.0, None, 0.03, 0.04).significant
