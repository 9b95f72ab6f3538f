"""Comparisons of two entrants on a store made by hand: every number, by images and by training seeds."""

from __future__ import annotations

import pytest
from scipy import stats

from harness.comparison.comparison import Comparison, compare
from harness.comparison.labels import Labels
from harness.comparison.naming import Where, find_two
from harness.errors import HarnessError
from harness.leaderboard.pairs import MCNEMAR, Decision
from harness.statistics.figures import Interval
from harness.statistics.paired import Crossed
from tests.harness.comparison.kept import CW, NATURAL, PGD, TRAINING, UNKNOWN, Kept, Put, run
from tests.stores import see_protocol


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

    @pytest.mark.parametrize("order", [("natural", "pgd", "fab", "cw"), ("natural", "pgd", "cw", "fab")])
    def test_of_two_protocols_the_one_of_most_networks_counts_then_the_one_of_most_attacks(
        self, store: Kept, put: Put, order: tuple[str, ...]
    ) -> None:
        """A protocol got the attack fab, in its midst or at its end: it counts once all of the networks have it."""
        settings = {"natural": NATURAL, "pgd": PGD, "cw": CW, "fab": {"block_size": 4}}
        added = {attack: settings[attack] for attack in order}
        see_protocol(store, added, TRAINING, fingerprint="2" * 64)
        verdicts = {"natural": ["11111111"], "pgd": ["11110011"], "cw": ["11111100"]}
        fab = {"fab": ["01111111"]}
        for method in ("sat", "lrat"):
            put(method, verdicts | fab, train_seed=0, settings=added)
            put(method, verdicts, train_seed=1)
        few = run(store, "sat", "lrat", "worst_case")
        assert [list(pair.attack_seeds) for pair in few.networks] == [["natural", "pgd", "cw"]] * 2
        for method in ("gairat", "trades"):
            for seed in (0, 1):
                put(method, verdicts | fab, train_seed=seed, settings=added)
        all_have = run(store, "gairat", "trades", "worst_case")
        assert [list(pair.attack_seeds) for pair in all_have.networks] == [list(added)] * 2
        assert [pair.every.table.both for pair in all_have.networks] == [3, 3]  # 1 to 3: fab breaks image 0

    def test_so_it_is_without_training_seeds_in_common(self, store: Kept, put: Put) -> None:
        added = {"natural": NATURAL, "pgd": PGD, "cw": CW, "fab": {"block_size": 4}}
        see_protocol(store, added, TRAINING, fingerprint="2" * 64)
        verdicts = {"natural": ["11111111"], "pgd": ["11110011"], "cw": ["11111100"]}
        for method, first in (("sat", 0), ("lrat", 2)):
            put(method, verdicts | {"fab": ["01111111"]}, train_seed=first, settings=added)
            put(method, verdicts, train_seed=first + 1)
        found = run(store, "sat", "lrat", "worst_case")
        assert list(found.column.attacks) == ["natural", "pgd", "cw"]
        assert found.sides is not None
        assert (len(found.sides.first), len(found.sides.second)) == (2, 2)


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


def test_a_network_without_a_figure_does_not_stand_for_its_row(store: Kept, put: Put) -> None:
    put("sat", {"natural": ["11111111"]}, 0)
    put("sat", {"natural": ["11111110"], "pgd": ["11110000"]}, 1)
    put("lrat", {"natural": ["11111100"], "pgd": ["11000000"]}, 5)
    (pair,) = run(store, "sat", "lrat", "pgd").networks
    assert (pair.first.train_seed, pair.second.train_seed) == (1, 5)
    assert pair.every.table == Crossed(2, 2, 0, 4)
    (default,) = run(store, "sat", "lrat").networks  # the attack that the first networks have, as ever
    assert (default.first.train_seed, default.attack_seeds) == (0, {"natural": [0]})


def test_significant_is_what_holds_over_the_family() -> None:
    assert not Decision(MCNEMAR, 8, 1.0, None, 0.03, 0.06).significant
    assert Decision(MCNEMAR, 8, 1.0, None, 0.03, 0.04).significant
