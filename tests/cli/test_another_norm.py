"""A run, an evaluation, and a board in the ball of another norm: nothing of it is mixed with L-infinity's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.store.scope import Scope
from tests.cli.conftest import Harness, Refused
from tests.cli.evaluate.given import HERE, PROTOCOL, TRAIN, N, store_of

L2_PROTOCOL = (
    PROTOCOL.replace("epsilon = 0.2", "epsilon = 1")
    .replace("epochs = 4", "epochs = 1")
    .replace("[train]", '[train]\nnorm = "L2"')
)


@pytest.fixture
def place(elsewhere: Path) -> Path:
    (elsewhere / "quick.toml").write_text(L2_PROTOCOL)
    return elsewhere


@pytest.mark.slow
def test_from_training_to_the_board(place: Path, harness: Harness) -> None:
    row = json.loads(harness(f"{TRAIN} --seeds 1 --json"))
    assert (row["epsilon"], row["norm"]) == (1.0, "L2")
    assert row["flags"] is not None  # its examinations are found again
    (run,), _, _, (board,) = store_of(place)
    assert run.training["norm"] == "L2"
    assert board.scope is not None
    assert (board.scope.epsilon, board.scope.norm) == (1.0, "L2")

    harness(
        f"evaluate 1 {HERE} --limit {N} --seeds 1 --attacks fgsm --set evaluation.norm=Linf --epsilon 1 --no-checks"
    )
    document = json.loads(harness(f"evaluate 1 {HERE} --limit {N} --seeds 1 --attacks noise --json"))
    assert [(report["norm"], report["epsilon"]) for report in document["reports"]] == [("L2", 1.0)]
    assert "epsilon 1 (L2)" in harness(f"evaluate 1 {HERE} --limit {N} --seeds 1 --attacks noise")
    (run,) = store_of(place)[0]
    assert {(e.attack, e.settings.get("norm"), e.settings.get("epsilon")) for e in run.checkpoints[-1].evaluations} == {
        ("natural", None, None),
        ("pgd", "L2", 1.0),
        ("cw", "L2", 1.0),
        ("noise", "L2", 1.0),
        ("fgsm", None, 1.0),
    }
    attacks = {name for x in run.checkpoints[-1].examinations for f in x.findings for name in f.details}
    assert "noise" in attacks
    assert "fgsm" not in attacks  # it was in the L-infinity ball of the same radius
    shown = harness("show 1")
    assert "epsilon=1 norm=L2" in shown
    assert "epsilon 1 (L2), 40 images" in shown


@pytest.mark.slow
def test_training_in_l2_helps_in_l2(elsewhere: Path, harness: Harness) -> None:
    """Five epochs on the digits; the checks of rigour have nothing to say against the trained network."""
    command = "run standard sat --dataset digits --arch smallcnn --norm L2 --epsilon 0.75 --epochs 5 --seeds 1"
    rows = json.loads(harness(f"{command} --attacks natural,pgd --json"))["rows"]
    by_method = {row["method"]: row for row in rows}
    assert {row["norm"] for row in rows} == {"L2"}
    plain, robust = (by_method[method]["metrics"]["pgd"]["median"] for method in ("standard", "sat"))
    assert robust > plain + 20
    assert by_method["sat"]["flags"] == []


def test_what_a_leaderboard_reads_of_a_protocol_is_what_its_examinations_were_of() -> None:
    own, other = ("train.norm=L2", "epsilon=1"), ("evaluation.norm=L2", "evaluation.epsilon=1")
    for values in (own, other, (*own, "evaluation.norm=Linf", "evaluation.epsilon=0.1")):
        (job,) = resolve_run(RunRequest(methods=("sat",), network="smallcnn", dataset="digits", values=values))
        record = job.protocol_record()
        assert Scope.of_document(record.document, record.attacks, job.examples) == job.scope


def test_an_unknown_norm_is_refused_before_anything_is_written(place: Path, refusal: Refused) -> None:
    line = refusal(f"{TRAIN} --set train.norm=l2")
    assert "unknown norm 'l2'; did you mean 'L2'? known: L2, Linf" in line
    assert [file.name for file in place.iterdir()] == ["quick.toml"]


def test_an_attack_that_knows_no_norm_is_refused_before_anything_is_written(
    place: Path, harness: Harness, refusal: Refused
) -> None:
    harness("new attack corner")
    protocol = L2_PROTOCOL.replace('"cw"]', '"corner"]')
    (place / "quick.toml").write_text(protocol)
    before = sorted(place.iterdir())
    line = refusal(f"{TRAIN} --plugin corner.py")
    assert "attack 'corner' is refused in the L2 ball: it attacks in Linf alone" in line
    assert sorted(place.iterdir()) == before


def test_a_radius_or_an_attack_that_the_images_rule_out_is_refused(place: Path, refusal: Refused) -> None:
    """The digits have 8x8 pixels: no two images are farther apart than 8."""
    line = refusal(f"{TRAIN} --epsilon 128")
    assert "epsilon=128 is refused: it should be less than or equal to 8, within which every image of 1x8x8 can" in line
    assert "write 128/255 rather than 128" in line
    assert [file.name for file in place.iterdir()] == ["quick.toml"]
