"""What a run's page says: counts, classes, curves, radii; each from numbers chosen by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from harness.comparison.labels import Labels
from harness.events import EpochRecord, Finding, Part
from harness.plugin.images import Images
from harness.site.evaluations import Checks, by_class, radius_documents, settings_text
from harness.site.runs import MOST_POINTS, curves, model_document, recorded_curves, run_document
from harness.store.records import Curve, ExaminationRecord
from tests.harness.leaderboard.held import PROTOCOL, checkpoint, evaluation, model, run


def epochs(count: int, **diagnostics: float) -> list[EpochRecord]:
    return [EpochRecord(n, 1.0 / n, 0.1, 100, 2.0, dict(diagnostics)) for n in range(1, count + 1)]


def test_settings_are_written_as_people_write_them() -> None:
    text = settings_text({"epsilon": 8 / 255, "steps": 20, "lr_drops": [0.6, 0.9], "step_size": 1 / 3})
    assert text == "epsilon=8/255 steps=20 lr_drops=0.6,0.9 step_size=0.333333"


def test_attacks_stand_in_the_protocols_order_with_every_seed() -> None:
    held = [evaluation("autoattack", 80), *(evaluation("pgd", n, seed=s) for s, n in enumerate((100, 110, 90)))]
    made = run(7, *held, evaluation("natural", 180), evaluation("mine", 5, done=10, duration_s=3.0))
    (last,) = run_document(made, None, {}, [PROTOCOL], Checks())["checkpoints"]
    assert [attack["attack"] for attack in last["attacks"]] == ["natural", "pgd", "autoattack", "mine"]
    pgd, mine = last["attacks"][1], last["attacks"][3]
    assert pgd["figure"] == "50.00 ± 5.00"  # of 50, 55, and 45 %: the median, and the deviation with ddof 1
    seeds = [(pgd[name]) for name in ("seeds", "correct", "done", "seconds")]
    assert seeds == [[0, 1, 2], [100, 110, 90], [200] * 3, [1.0] * 3]
    assert (mine["figure"], mine["interval"]) == ("-", "")  # it is not complete
    assert [mine[name] for name in ("seeds", "correct", "done", "seconds")] == [[0], [5], [10], [3.0]]


def test_a_class_counts_the_images_that_are_right_under_every_seed() -> None:
    labels = Labels([0, 1, 1, 0, 1], ["cat", "dog"])
    seeds = [evaluation("pgd", 3, id=n, examples=5, done=5) for n in (1, 2)]
    verdicts = {1: bytes([1, 1, 0, 1, 1]), 2: bytes([1, 1, 1, 0, 1])}
    assert by_class(seeds, labels, verdicts) == ([1, 2], [2, 3])
    balanced = [evaluation("pgd", 1, id=3, examples=2, done=2, sample="balanced")]
    order = Images(2, "balanced").places(labels.labels)
    assert sorted(labels.labels[place] for place in order) == [0, 1]
    (right,) = [labels.labels[place] for place in order[:1]]
    expected = ([int(right == 0), int(right == 1)], [1, 1])
    assert by_class(balanced, labels, {3: bytes([1, 0])}) == expected


def test_curves_keep_the_first_and_the_last_epoch_and_say_what_they_skip() -> None:
    short, long = curves(epochs(3)), curves(epochs(100))
    assert short is not None
    assert long is not None
    assert (short["epochs"], short["step"], short["series"]["loss"]) == ([1, 2, 3], 1, [1.0, 0.5, 0.333])
    assert (long["epochs"][0], long["epochs"][-1], long["step"]) == (1, 100, 2)
    assert len(long["epochs"]) <= MOST_POINTS + 1
    assert long["series"]["loss"] == [float(f"{1 / epoch:.3g}") for epoch in long["epochs"]]
    assert curves([]) is None


def test_a_diagnostic_that_begins_late_has_gaps_and_no_numbers_of_other_epochs() -> None:
    found = curves([*epochs(2), EpochRecord(3, 1.0, 0.1, 100, 2.0, {"weight": 0.25})])
    assert found is not None
    weight = found["series"]["weight"]
    assert [math.isnan(value) for value in weight] == [True, True, False]
    assert weight[2] == 0.25


def recorded(part: Part, attack: str, *points: tuple[int, int], images: int = 128, **settings: Any) -> Curve:
    return Curve(part, attack, settings, str(settings), images, points)


def test_recorded_curves_have_a_sample_of_images_each_and_gaps_where_an_attack_was_not_run() -> None:
    found = recorded_curves(
        [
            recorded("train", "natural", (1, 128), (2, 120)),
            recorded("test", "natural", (1, 64), (2, 32)),
            recorded("test", "pgd", (2, 16)),
            recorded("test", "pgd", (1, 5), images=100),
        ]
    )
    assert found == {
        "epochs": [1, 2],
        "step": 1,
        "samples": [
            {"part": "test", "images": 128, "attacks": [["natural", 64, 32], ["pgd", None, 16]]},
            {"part": "test", "images": 100, "attacks": [["pgd", 5, None]]},
            {"part": "training", "images": 128, "attacks": [["natural", 128, 120]]},
        ],
    }
    assert run_document(run(1), None, {}, [], Checks())["recorded"] is None


def test_of_many_points_the_first_the_best_and_the_last_are_drawn() -> None:
    counts = dict.fromkeys(range(1, 101), 50) | {52: 90}
    found = recorded_curves([recorded("test", "pgd", *counts.items(), images=100)])
    assert found is not None
    assert found["step"] == 2
    assert found["epochs"] == [*range(1, 52, 2), 52, *range(53, 101, 2), 100]
    assert found["samples"][0]["attacks"] == [["pgd", *(counts[epoch] for epoch in found["epochs"])]]


def at(epsilon: float, correct: int, attack: str = "pgd", **settings: Any) -> Any:
    return evaluation(attack, correct, settings={"epsilon": epsilon, "step_size": epsilon / 4, "steps": 20} | settings)


def test_robust_accuracy_against_the_radius_begins_with_natural_accuracy() -> None:
    (curve,) = radius_documents([evaluation("natural", 190), at(0.2, 60), at(0.1, 120)])
    assert [(point[1], point[2]) for point in curve["points"]] == [("0", 95.0), ("0.1", 60.0), ("0.2", 30.0)]
    assert curve["images"] == 200
    assert curve["points"][1][3:5] == pytest.approx([53.084, 66.539], abs=0.001)  # Wilson's, of 120 in 200


@pytest.mark.parametrize(
    "other",
    [
        at(0.1, 120, steps=40),
        at(0.1, 120, step_size=0.1),
        at(0.1, 120, attack="cw"),
        evaluation("pgd", 5, settings={"epsilon": 0.1, "step_size": 0.025, "steps": 20}, examples=10, done=10),
        evaluation("pgd", 5, settings={"epsilon": 0.1, "step_size": 0.025, "steps": 20}, done=10),
    ],
    ids=["steps", "step size", "attack", "images", "incomplete"],
)
def test_only_what_differs_in_the_radius_alone_is_one_curve(other: Any) -> None:
    assert list(radius_documents([at(0.2, 60), other])) == []


def test_a_failed_run_says_why_and_has_no_evaluation() -> None:
    made = run(3, status="failed", failure="the loss is not finite at epoch 2", epochs=tuple(epochs(2)))
    document = run_document(made, None, {}, [], Checks())
    assert (document["status"], document["failure"]) == ("failed", "the loss is not finite at epoch 2")
    assert (document["checkpoints"], document["epochs"]) == ([], [2, 10])
    assert document["seconds"] == 4.0


def test_a_note_and_tags_stand_among_the_facts() -> None:
    facts = run_document(run(1, note="for the thesis", tags=("a", "b")), None, {}, [], Checks())["facts"]
    assert (facts["note"], facts["tags"]) == ("for the thesis", "a, b")
    assert not {"note", "tags"} & run_document(run(1), None, {}, [], Checks())["facts"].keys()


def test_a_checkpoint_without_labels_has_no_classes() -> None:
    made = run(1, checkpoint(evaluation("pgd", 100)))
    (last,) = run_document(made, None, {}, [PROTOCOL], Checks())["checkpoints"]
    assert (last["classes"], last["attacks"][0]["classes"]) == (None, None)


def test_reasons_keep_every_character_and_share_what_is_alike() -> None:
    reasons = ["breaks 19.5 % of the 244 images", "breaks 20.7 % of the 240 images", "PGD-20 finds 1.25.3", "none", "7"]
    checks = Checks()
    kinds = []
    for reason in reasons:
        finding = Finding("a-check", "passed", "", 1.0, 0.15, reason, {})
        examined = ExaminationRecord({"kind": "model"}, datetime(2026, 1, 1), 1.0, {}, (finding,))
        held = replace(checkpoint(), examinations=(examined,))
        (last,) = run_document(run(1, held), None, {}, [], checks)["checkpoints"]
        (document,) = last["examinations"]
        ((check, status, mark, parts, threshold),) = json.loads(checks.texts[document["kind"]])
        assert (check, status, mark, threshold) == ("a-check", "passed", "", "0.15")
        numbers = [*document["numbers"], ""]
        assert "".join(part + number for part, number in zip(parts, numbers, strict=True)) == reason
        kinds.append(document["kind"])
    assert kinds == [0, 0, 1, 2, 3]


def test_the_list_has_the_figure_of_the_leaderboard_and_says_what_it_is_of() -> None:
    """Not that of the group of evaluations that came last: here 9 of 10 images at another radius."""
    others = [evaluation("autoattack", 9, examples=10, done=10), evaluation("autoattack", 190, settings_sha256="eps/2")]
    document = run_document(run(1, evaluation("autoattack", 80), *others), None, {}, [PROTOCOL], Checks())
    assert document["headline"] == "autoattack 40.00"
    assert document["under"] == "tiny [11111111], epsilon 0.2, the first 200 test images, last"
    few = run_document(run(1, others[0]), None, {}, [PROTOCOL], Checks())
    assert (few["headline"], few["under"]) == (
        "autoattack 90.00",
        "tiny [11111111], epsilon 0.2, the first 10 test images, last",
    )
    assert run_document(run(1, others[1]), None, {}, [PROTOCOL], Checks())["headline"] == ""
    assert run_document(run(1, status="failed"), None, {}, [PROTOCOL], Checks())["headline"] == ""


def test_a_model_from_elsewhere_has_one_too() -> None:
    theirs = model("theirs", evaluation("autoattack", 50), network_departures={"width": 8})
    document = model_document(theirs, None, {}, [PROTOCOL], Checks())
    assert document["headline"] == "autoattack 25.00"
    assert document["under"] == "tiny [11111111], epsilon 0.2, the first 200 test images"
    assert document["arch"] == "resnet18 width=8"
