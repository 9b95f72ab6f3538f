"""Rows of a board that are not paired by seed: Welch's test over training seeds, as scipy makes it, and its words."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

from harness.comparison.comparison import families, rivals
from harness.comparison.document import family_document
from harness.comparison.text import family_parts
from harness.leaderboard.board import Row, Selection
from harness.leaderboard.legend import legend
from harness.leaderboard.pairs import PAIRED_RULE, RULE, Decision, rule
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import render_json
from harness.statistics.figures import Interval
from harness.store.records import RunRecord
from tests.harness.leaderboard.held import Held, all_rows, evaluation, run

BEST = (150, 152, 157)  # of 200 images
OURS = [75.0, 76.0, 78.5]


def several(method: str, first: int, counts: tuple[int, ...], **changes: Any) -> list[RunRecord]:
    """Networks of the training seeds 0, 1, …; ``at`` is the first seed."""
    at = changes.pop("at", 0)
    return [
        run(first + place, evaluation("autoattack", count), method=method, train_seed=at + place, **changes)
        for place, count in enumerate(counts)
    ]


def second(*runs: RunRecord) -> Row:
    _, row = (row for _, row in all_rows(Held(runs)))
    return row


def decided(row: Row) -> Decision:
    assert row.versus_best is not None
    return row.versus_best


def test_another_network_is_not_paired_though_the_seeds_are_the_same() -> None:
    row = second(*several("best", 1, BEST), *several("other", 10, (149, 155, 151), network="resnet18"))
    found, expected = decided(row), stats.ttest_ind([74.5, 77.5, 75.5], OURS, equal_var=False)
    assert (found.test, found.n, found.counts, found.unit) == ("Welch's t", 3, (3, 3), "training seeds")
    assert (found.p, found.p_holm) == pytest.approx((expected.pvalue, expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high))
    assert found.difference == pytest.approx(-2 / 3)
    assert found.p != pytest.approx(stats.ttest_rel([74.5, 77.5, 75.5], OURS).pvalue)


@pytest.mark.parametrize(
    "changes", [{"network_departures": {"width": 8}}, {"code": {"network": "3fa1c2d0" * 8}}], ids=str
)
def test_another_setting_or_code_of_the_network_is_another_network(changes: dict[str, Any]) -> None:
    assert decided(second(*several("best", 1, BEST), *several("other", 10, (140, 141, 145), **changes))).test == (
        "Welch's t"
    )


def test_other_seeds_are_not_paired_and_all_of_them_count() -> None:
    row = second(*several("best", 1, BEST), *several("other", 10, (140, 145), at=2))  # seed 2 is in common
    found = decided(row)
    assert (found.test, found.n, found.counts) == ("Welch's t", 2, (2, 3))
    assert found.over == "2 and 3 training seeds"
    assert found.p == pytest.approx(stats.ttest_ind([70.0, 72.5], OURS, equal_var=False).pvalue)


def test_one_network_on_a_side_is_compared_by_images() -> None:
    found = decided(second(*several("best", 1, BEST), *several("other", 10, (140,), network="resnet18")))
    assert (found.test, found.n, found.counts, found.over) == ("McNemar", 200, None, "200 test images")


def test_seeds_without_a_spread_are_compared_by_images() -> None:
    runs = [*several("best", 1, (150, 150)), *several("other", 10, (140, 140), network="resnet18")]
    assert decided(second(*runs)).test == "McNemar"
    equal = second(*several("best", 1, (150, 150)), *several("other", 10, (150, 150), network="resnet18"))
    assert (decided(equal).test, decided(equal).p) == ("Welch's t", 1.0)


def test_seeds_of_the_attack_that_a_network_lacks_do_not_count() -> None:
    with_more = run(
        10,
        evaluation("autoattack", 140),
        evaluation("autoattack", 20, seed=1),
        method="other",
        network="resnet18",
    )
    other = run(11, evaluation("autoattack", 145), method="other", network="resnet18", train_seed=1)
    found = decided(second(*several("best", 1, BEST), with_more, other))
    assert found.p == pytest.approx(stats.ttest_ind([70.0, 72.5], OURS, equal_var=False).pvalue)


def test_without_an_attack_seed_that_all_networks_have_the_images_decide() -> None:
    held = [evaluation("autoattack", 140), evaluation("autoattack", 145, seed=1)]
    others = [run(10 + s, e, method="other", network="resnet18", train_seed=s) for s, e in enumerate(held)]
    found = decided(second(*several("best", 1, BEST), *others))
    assert (found.test, found.difference) == ("McNemar", -5.0)  # 140 and 150 of 200, under attack seed 0


@pytest.fixture
def mixed() -> Held:
    """The best row has a partner of its own network, one of another, and one of other seeds."""
    runs = [*several("best", 1, BEST), *several("alike", 10, (149, 155, 151))]
    runs += several("deep", 20, (140, 141, 145), network="resnet18")
    return Held([*runs, *several("few", 30, (120, 131), at=7)])


def test_the_family_is_corrected_as_one(mixed: Held) -> None:
    alike, deep, few = (decided(row) for _, row in all_rows(mixed)[1:])
    assert [one.test for one in (alike, deep, few)] == ["paired t", "Welch's t", "Welch's t"]
    held = {one.p: one.p_holm for one in (alike, deep, few)}
    factors, least = (3, 2, 1), 0.0
    for p, factor in zip(sorted(held), factors, strict=True):
        least = max(least, min(1.0, factor * p))
        assert held[p] == pytest.approx(least)


def test_json_says_which_test_and_how_many_seeds_of_each_row(mixed: Held) -> None:
    _, alike, deep, few = (row["versus_best"] for row in json.loads(render_json(boards(mixed)))["rows"])
    assert "n_first" not in alike
    assert [(one["test"], one["unit"], one["n"], one["n_first"], one["n_second"]) for one in (deep, few)] == [
        ("Welch's t", "training seeds", 3, 3, 3),
        ("Welch's t", "training seeds", 2, 2, 3),
    ]
    assert (deep["interval"]["kind"], deep["interval"]["n"]) == ("t", 3)
    (board,) = family_document(families(mixed, rivals(mixed, Selection())))["boards"]
    found = {(pair["first"], pair["second"]): pair["comparison"] for pair in board["pairs"]}
    (few_last,) = [one for names, one in found.items() if names[0].startswith("best") and names[1].startswith("few")]
    assert (few_last["n_first"], few_last["n_second"], few_last["p"]) == (3, 2, pytest.approx(few["p"]))


def test_all_pairs_as_text(mixed: Held) -> None:
    text = StringIO()
    console = Console(file=text, width=400)
    for part in family_parts(families(mixed, rivals(mixed, Selection()))):
        console.print(part)
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert any(
        line.startswith("best smallcnn few smallcnn ") and "Welch's t 3 and 2 training seeds" in line for line in lines
    )
    assert f"in points; paired t and Welch's t also give a 95 % interval. {RULE}" in lines[-1]


def test_the_legend_explains_the_tests_that_were_made(mixed: Held) -> None:
    assert any(line.endswith(f"in the column that ranks: {RULE}") for line in legend(boards(mixed)))
    paired = Held([*several("best", 1, BEST), *several("alike", 10, (149, 155, 151))])
    assert any(line.endswith(f"in the column that ranks: {PAIRED_RULE}") for line in legend(boards(paired)))
    # a row that is hidden was tested, too
    (board,) = boards(mixed, Selection(methods=("alike",)))
    assert any(line.endswith(RULE) for line in legend([board]))


def test_the_words_of_a_rule() -> None:
    welch = Decision("Welch's t", 2, 1.0, Interval(0.0, 2.0), 0.5, 0.5, (2, 3))
    assert rule([None, Decision("McNemar", 9, 1.0, None, 0.5, 0.5)]) == PAIRED_RULE
    assert rule([None, welch]) == RULE
    assert Decision("Welch's t", 4, 1.0, None, 0.5, 0.5, (4, 4)).over == "4 training seeds"
