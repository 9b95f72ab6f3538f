"""Which entrants are paired by training seed, and what is told of those that are not."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from scipy import stats

from harness.comparison.comparison import Comparison
from harness.comparison.document import comparison_document
from harness.comparison.text import comparison_parts
from tests.harness.comparison.kept import Kept, Put, run

OURS, THEIRS = ["11110000", "11111000", "11111110"], ["11100000", "11111000", "11000000"]
FIRST, SECOND = [50.0, 62.5, 87.5], [37.5, 62.5, 25.0]


def text_of(found: Comparison) -> str:
    text = StringIO()
    console = Console(file=text, width=200)
    for part in comparison_parts(found):
        console.print(part)
    return text.getvalue()


def test_the_same_network_and_protocol_are_paired(store: Kept, put: Put) -> None:
    for seed in range(3):
        put("sat", {"pgd": [OURS[seed]]}, seed)
        put("lrat", {"pgd": [THEIRS[seed]]}, seed)
    found = run(store, "sat", "lrat")
    assert found.sides is not None
    assert found.methods is not None
    assert (found.sides.paired, found.methods.test) == (True, "paired t")
    told = comparison_document(found)["methods"]
    assert told["correlation"]["r"] == pytest.approx(stats.pearsonr(FIRST, SECOND).statistic)
    assert (told["paired"], told["correlation"]["n"], told["correlation"]["interval"]) == (True, 3, None)
    assert f"correlate, r = {told['correlation']['r']:.2f} over n = 3" in text_of(found)


@pytest.mark.parametrize("changes", [{"network": "resnet18"}, {"training": {"epochs": 5}}], ids=["network", "protocol"])
def test_another_network_or_protocol_is_not_paired(store: Kept, put: Put, changes: dict[str, object]) -> None:
    for seed in range(3):
        put("sat", {"pgd": [OURS[seed]]}, seed)
        put("lrat", {"pgd": [THEIRS[seed]]}, seed, **changes)
    found = run(store, "sat", "lrat")
    expected = stats.ttest_ind(FIRST, SECOND, equal_var=False)
    assert found.methods is not None
    assert found.methods.test == "Welch's t"
    assert found.methods.p == pytest.approx(expected.pvalue)
    told = comparison_document(found)["methods"]
    assert (told["test"], told["paired"], told["n_first"], told["n_second"]) == ("Welch's t", False, 3, 3)
    assert told["correlation"]["r"] == pytest.approx(stats.pearsonr(FIRST, SECOND).statistic)  # of the seeds in common
    assert "Welch's t, not paired, over n = 3 training seeds" in text_of(found)


def test_other_seeds_are_not_paired_and_all_of_them_count(store: Kept, put: Put) -> None:
    for seed in range(3):
        put("sat", {"pgd": [OURS[seed]]}, seed)
    for seed in range(2):
        put("lrat", {"pgd": [THEIRS[seed]]}, seed + 2)  # one seed in common
    found = run(store, "sat", "lrat")
    assert found.methods is not None
    assert (found.methods.counts, found.methods.n) == ((3, 2), 2)
    assert found.methods.p == pytest.approx(stats.ttest_ind(FIRST, SECOND[:2], equal_var=False).pvalue)
    assert comparison_document(found)["methods"]["correlation"] is None
    assert not any("one network each" in note for note in found.notes)
    assert "over n = 3 and 2 training seeds" in text_of(found)


def test_only_attack_seeds_of_all_networks_count(store: Kept, put: Put) -> None:
    for seed in range(2):
        put("sat", {"pgd": [OURS[seed], "00000000"]}, seed)
        put("lrat", {"pgd": [THEIRS[seed]]}, seed + 5)
    found = run(store, "sat", "lrat")
    assert found.sides is not None
    assert (found.sides.first, found.sides.second) == ((50.0, 62.5), (37.5, 62.5))


def test_the_worst_case_is_not_paired_either(store: Kept, put: Put) -> None:
    for seed in range(2):
        put("sat", {"natural": ["11111110"], "pgd": [OURS[seed]], "cw": ["01111111"]}, seed)
        put("lrat", {"natural": ["11111111"], "pgd": [THEIRS[seed]], "cw": ["11111111"]}, seed + 5)
    found = run(store, "sat", "lrat", "worst_case")
    assert found.sides is not None
    assert (found.sides.first, found.sides.second) == ((37.5, 50.0), (37.5, 62.5))


def test_one_network_a_side_has_no_test_of_methods(store: Kept, put: Put) -> None:
    for seed in range(2):
        put("sat", {"pgd": [OURS[seed]]}, seed)
    put("lrat", {"pgd": [THEIRS[0]]}, 7)
    found = run(store, "sat", "lrat")
    assert (found.sides, found.methods) == (None, None)
    assert any("one network each" in note for note in found.notes)
