"""The checks of stored verdicts: by hand, on the paper's figures, and on the published networks."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from harness.data.digits import Digits
from harness.events import Finding
from harness.rigour.checks import examine_verdicts
from harness.rigour.record import Record
from harness.store.store import Store
from tests.first_board import FIRST_BOARD
from tests.harness.rigour.stored import SHIPPED, examined, verdicts

ROOT = Path(__file__).parents[3]


def test_the_gap_by_hand() -> None:
    findings = examined({"pgd": [verdicts(1000, (0, 500))], "autoattack": [verdicts(1000, (0, 400))]})
    gap = findings["autoattack-gap"]
    assert (gap.status, gap.mark, gap.threshold) == ("not-applicable", "", None)  # one network is not judged
    assert gap.value == 0.2
    assert gap.reason == (
        "AutoAttack breaks 20.0 % of the 500 images that pgd leaves (10.0 points); by itself it is not judged: a"
        " leaderboard compares it with sat"
    )
    assert gap.details["pgd"]["broken"] == 100


def test_the_gap_of_several_seeds_is_the_mean_over_their_pairs() -> None:
    pgd = [verdicts(100, (0, 50)), verdicts(100, (0, 40))]
    autoattack = [verdicts(100, (0, 30)), verdicts(100, (10, 40))]
    # lost: 20, 20, 10, 10 of 50, 50, 40, 40
    gap = examined({"pgd": pgd, "autoattack": autoattack})["autoattack-gap"].details["pgd"]
    assert gap["share"] == pytest.approx(15 / 45)
    assert gap["points"] == pytest.approx(15.0)


@pytest.mark.parametrize("left", [0, 1])
def test_where_nothing_is_left_no_gap_is_kept(left: int) -> None:
    gap = examined({"pgd": [verdicts(100, (0, left))], "autoattack": [verdicts(100)]})["autoattack-gap"]
    assert (gap.status, bool(gap.details), gap.value) == ("not-applicable", bool(left), 1.0 if left else None)


def told(finding: Finding) -> Finding:
    """The finding, without the attack that a reason names: of two that are equal, the one that came first."""
    return replace(finding, reason="") if finding.check == "robust-above-clean" else finding


def test_the_findings_of_the_published_networks(tmp_path: Path) -> None:
    """Of the digits' networks findings are the stored ones, to the word, and none of them warns.

    The labels of the other data sets are not here.
    """
    store = Store.read(str(shutil.copy(FIRST_BOARD, tmp_path / "copy.db")))
    labels = Digits().load(tmp_path).test.labels
    raised: dict[str, list[str]] = defaultdict(list)
    for run in (run for run in store.runs() if run.dataset.name == "digits"):
        checkpoint = run.checkpoint("last")
        assert checkpoint is not None
        stored: dict[str, list[bytes]] = defaultdict(list)
        warned: dict[str, list[str]] = defaultdict(list)
        for evaluation in checkpoint.evaluations:
            stored[evaluation.attack].append(store.verdicts(evaluation.id))
            warned[evaluation.attack].extend(evaluation.warnings)
        findings = examine_verdicts(stored, SHIPPED, labels, warned, names=Digits().load(tmp_path).classes)
        (examination,) = (e for e in checkpoint.examinations if e.settings.get("attacks", {}).keys() == stored.keys())
        assert list(map(told, findings)) == list(map(told, examination.findings))
        raised[run.method] += [finding.check for finding in findings if finding.status == "flagged"]
    store.close()
    assert {method: checks for method, checks in raised.items() if checks} == {}
    assert len(raised) == 7


def test_square_alone() -> None:
    gradient = {"pgd": [verdicts(1000, (0, 800)), verdicts(1000, (0, 790))], "cw": [verdicts(1000, (0, 780))]}
    weak = examined({**gradient, "square": [verdicts(1000, (20, 1000))]})["square-stronger"]
    strong = examined({**gradient, "square": [verdicts(1000, (100, 1000)), verdicts(1000, (90, 900))]})
    assert (weak.status, weak.value) == ("passed", 0.02)
    assert (strong["square-stronger"].status, strong["square-stronger"].value) == ("flagged", 0.1)
    assert examined(gradient)["square-stronger"].status == "not-applicable"


def test_square_alone_on_few_images_may_be_chance() -> None:
    found = examined({"pgd": [verdicts(15, (0, 15))], "square": [verdicts(15, (1, 15))]})["square-stronger"]
    assert (found.status, found.value) == ("passed", 1 / 15)


def test_of_an_even_number_of_seeds_the_lower_of_the_middle_two_stands_for_them() -> None:
    seeds = [verdicts(10, (0, right)) for right in (9, 3, 5, 7)]
    assert int(Record({"pgd": seeds}, {}, [0] * 10, {}).median_seed("pgd").sum()) == 5
    assert int(Record({"pgd": seeds[1:]}, {}, [0] * 10, {}).median_seed("pgd").sum()) == 5


def test_images_that_autoattack_misses() -> None:
    stored = {"autoattack": [verdicts(1000, (0, 500)), verdicts(1000, (0, 510))], "pgd": [verdicts(1000, (30, 1000))]}
    found = examined(stored)["autoattack-misses"]
    assert (found.status, found.value, found.details) == ("flagged", 0.03, {"pgd": 30})
    assert examined({**stored, "pgd": [verdicts(1000, (3, 1000))]})["autoattack-misses"].status == "passed"


def test_robust_accuracy_above_the_clean_one() -> None:
    clean, above, level = (verdicts(1000, (0, end)) for end in (700, 720, 704))
    assert examined({"natural": [clean], "pgd": [above]})["robust-above-clean"].value == pytest.approx(0.02)
    assert examined({"natural": [clean], "pgd": [above]})["robust-above-clean"].status == "flagged"
    assert examined({"natural": [clean], "pgd": [level]})["robust-above-clean"].status == "passed"
    assert examined({"pgd": [level]})["robust-above-clean"].status == "not-applicable"


@pytest.mark.parametrize(
    ("attack", "right", "of", "status"),
    [
        pytest.param("natural", 40, 100, "passed", id="clean, 40 of 100, may be half of the whole"),
        pytest.param("natural", 25, 100, "flagged", id="clean, far below half of the whole"),
        pytest.param("autoattack", 25, 100, "passed", id="attacked, a weak class"),
        pytest.param("autoattack", 3, 100, "flagged", id="attacked, a class with hardly a part in it"),
        pytest.param("autoattack", 0, 5, "passed", id="attacked, none of five images"),
    ],
)
def test_a_class_that_is_left_behind(attack: str, right: int, of: int, status: str) -> None:
    others = 900
    labels = [0] * of + [1 + i % 9 for i in range(others)]
    found = examined({attack: [verdicts(of + others, (0, right), (of, of + others * 9 // 10))]}, labels)
    assert found["class-left-behind"].status == status


def test_a_broken_network_has_no_class_to_leave_behind() -> None:
    assert examined({"pgd": [verdicts(100)]})["class-left-behind"].status == "not-applicable"


def test_verdicts_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pgd has verdicts of \[9\] images, and there are 10 labels"):
        examine_verdicts({"pgd": [verdicts(9)]}, SHIPPED, range(10), {})
