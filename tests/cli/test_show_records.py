"""``harness show RUN``: what was recorded while the network was trained, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.events import CurvePoint, EpochRecord, Histogram, Part
from harness.store.store import Store
from tests.cli.conftest import Harness
from tests.stores import make_spec, start

PGD: dict[str, object] = {"epsilon": 0.1, "steps": 20}
WEIGHT = Histogram("weight", 0.0, 1.0, (3, 5))


def point(part: Part, attack: str, correct: int, images: int = 128, settings: dict[str, object] = PGD) -> CurvePoint:
    return CurvePoint(part, attack, {} if attack == "natural" else settings, images, correct, 0.1)


@pytest.fixture
def store(elsewhere: Path) -> Store:
    """Run 1 with curves and histograms, run 2 with neither."""
    store = Store.write(str(elsewhere / "leaderboard.db"))
    run, bare = start(store, make_spec()), start(store, make_spec(train_seed=1))
    for epoch, (natural, pgd, of_training) in enumerate([(80, 50, 50), (96, 61, 70), (112, 58, 96)], start=1):
        curve = (
            point("train", "pgd", of_training, 64 * 2),
            point("test", "natural", natural),
            point("test", "pgd", pgd),
        )
        store.add_epoch(run.id, EpochRecord(epoch, 1.0, 0.1, 20, 1.0, {}, (WEIGHT,) if epoch < 3 else (), curve))
    store.add_epoch(bare.id, EpochRecord(1, 1.0, 0.1, 20, 1.0))
    for each in (run, bare):
        store.end_run(each.id)
    return store


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_last_accuracies_and_what_was_lost_since_the_best(store: Store, harness: Harness) -> None:
    """Of 128: 112 are 87.5 %, 58 are 45.3125 %, and 61 - 58 = 3 are 2.34375 points; 96 are 75 %."""
    shown = lines(harness("show 1"))
    first = shown.index("accuracies after epoch 3, recorded in training, on 128 test images and 128 training images")
    assert shown[first + 1 : first + 3] == [
        "  test      natural 87.5 %, pgd 45.3 % (2.3 points below its best, after epoch 2)",
        "  training  pgd 75.0 %",
    ]
    assert "histograms of 2 epochs: weight" in shown


def test_a_run_without_records_says_nothing_of_them(store: Store, harness: Harness) -> None:
    text = harness("show 2")
    assert "recorded" not in text
    assert "histograms" not in text
    document = json.loads(harness("show 2 --json"))
    assert (document["curves"], document["histograms"]) == ([], [])


def test_json_has_every_point_and_every_bin(store: Store, harness: Harness) -> None:
    document = json.loads(harness("show 1 --json"))
    assert [(curve["part"], curve["attack"]) for curve in document["curves"]] == [
        ("train", "pgd"),
        ("test", "natural"),
        ("test", "pgd"),
    ]
    pgd = document["curves"][2]
    assert (pgd["settings"], pgd["images"], pgd["lost_points"]) == (PGD, 128, 2.34375)
    assert pgd["points"] == [
        {"epoch": 1, "correct": 50, "accuracy_percent": 39.0625},
        {"epoch": 2, "correct": 61, "accuracy_percent": 47.65625},
        {"epoch": 3, "correct": 58, "accuracy_percent": 45.3125},
    ]
    assert document["histograms"] == [
        {"epoch": epoch, "name": "weight", "low": 0.0, "high": 1.0, "counts": [3, 5]} for epoch in (1, 2)
    ]
    assert not {"curve", "histograms"} & document["epochs"][0].keys()


def test_two_curves_of_one_attack_are_told_apart_by_their_settings(store: Store, harness: Harness) -> None:
    """As after a stop, if the settings changed; the first one ended after an earlier epoch."""
    curve = (point("test", "pgd", 64, settings=PGD | {"steps": 40}),)
    store.add_epoch(1, EpochRecord(4, 1.0, 0.1, 20, 1.0, {}, (), curve))
    (line,) = [line for line in lines(harness("show 1")) if line.startswith("  test")]
    assert " ".join(line.split()) == (
        "test natural 87.5 % after epoch 3, pgd (steps=20) 45.3 % after epoch 3 (2.3 points below its best, after"
        " epoch 2), pgd (steps=40) 50.0 %"
    )
