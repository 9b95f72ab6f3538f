"""``--track``: what it refuses, what it says, and that a tracker that fails fails no run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.trackers import named
from tests.cli.conftest import Ends
from tests.harness.trackers.story import Heard

pytestmark = pytest.mark.slow

TINY = (
    "run standard --dataset digits --arch smallcnn --set width=1 --epochs 1 --seeds 1 --limit 20"
    " --attacks natural,pgd --set evaluation.steps=1 --no-checks --workers 1"
)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trackers of the tests, by name: ``spoiled:METHOD HOW`` and ``filed:FILE``."""
    for cls in ("Spoiled", "Filed"):
        kind = named.NamedTracker(Heard.__module__, cls, "json", lambda place, _: place)
        monkeypatch.setitem(named.NAMED, cls.lower(), kind)


@pytest.mark.parametrize("command", [TINY, f"{TINY} --dry-run", "evaluate 1", "reproduce table1 --dataset digits"])
@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("tensorbord", "unknown tracker 'tensorbord'; did you mean 'tensorboard'? known: mlflow, tensorboard, wandb"),
        ("wandb:a/b/c", "tracker 'wandb:a/b/c' is refused: write wandb:PROJECT or wandb:ENTITY/PROJECT"),
        ("mlflow --track mlflow", "tracker 'mlflow' is given twice; leave one out"),
    ],
    ids=lambda value: value.split(" ")[0],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    ends: Ends, elsewhere: Path, command: str, option: str, line: str
) -> None:
    code, out, err = ends(f"{command} --track {option}")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"harness: {line}")
    assert list(elsewhere.iterdir()) == []


def test_a_missing_library_is_one_line(ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "find_spec", lambda _library: None)
    code, out, err = ends(f"{TINY} --track wandb")
    assert (code, out) == (2, "")
    assert err == (
        "harness: tracker 'wandb' is refused: wandb is not installed; run pip install 'robustness-harness[wandb]'\n"
    )
    assert list(elsewhere.iterdir()) == []


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("quiet", ["", "--quiet"])
@pytest.mark.parametrize("how", ["raises", "dies"])
def test_a_tracker_that_fails_fails_no_run_and_is_told_although_quiet(
    ends: Ends, elsewhere: Path, how: str, quiet: str
) -> None:
    code, out, err = ends(f"{TINY} {quiet} --track 'spoiled:epoch_done {how}' --track filed:calls.txt")
    assert code == 0
    assert "standard" in out
    told = [line for line in err.splitlines() if "tracker" in line]
    reasons = {
        "raises": "OSError: the disk is full",
        "dies": "its process ended with exit code 139: Segmentation fault",
    }
    assert told == [f"harness: tracker spoiled is off: {reasons[how]}; the work goes on without it"]
    assert (err.splitlines() == told) == bool(quiet)
    assert ("harness: filed: see standard-smallcnn-digits-s0" in err) != bool(quiet)
    assert (elsewhere / "calls.txt").read_text().splitlines() == [
        "run_began, run 1",
        "epoch_done, run 1",
        "evaluation_done, run 1",
        "evaluation_done, run 1",
        "run_ended, run 1, done",
        "close",
    ]


@pytest.mark.usefixtures("own")
def test_evaluate_and_reproduce_are_followed(ends: Ends, elsewhere: Path) -> None:
    assert ends(TINY)[0] == 0
    assert (
        ends("evaluate 1:last --sweep 4,8 --attacks pgd --seeds 1 --limit 20 --workers 1 --track filed:a.txt")[0] == 0
    )
    lines = (elsewhere / "a.txt").read_text().splitlines()
    assert [line for line in lines if "began" in line] == ["run_began, run 1 at 4/255", "run_began, run 1 at 8/255"]
    assert len([line for line in lines if "evaluation_done" in line]) == 2
    assert lines[-3:] == ["run_ended, run 1 at 4/255, done", "run_ended, run 1 at 8/255, done", "close"]
    table = "reproduce table1 --dataset digits --arch smallcnn --set width=1 --set batch_size=1437 --epochs 1 --seeds 1"
    small = "--set train.steps=1 --set evaluation.steps=1 --limit 20 --attacks natural,pgd --no-checks --workers 1"
    assert ends(f"{table} {small} --track filed:b.txt")[0] == 0
    lines = (elsewhere / "b.txt").read_text().splitlines()
    began = [line for line in lines if line.startswith("run_began")]
    assert began
    assert len([line for line in lines if line.startswith("run_ended") and line.endswith(", done")]) == len(began)
