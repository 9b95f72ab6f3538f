"""Each tracker that has a name writes what it is told, as its library's own reader reads it. Nothing goes to a network.

The test is parametrised over the registry: a tracker that is added to it has to pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.trackers.guarded import GuardedTracker
from harness.trackers.named import NAMED, trackers_of
from tests.harness.trackers.story import CALLS, EPOCHS, RUNS, SETTINGS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TRAIN = {
    "train/loss": [[1, 2.5], [2, 1.25]],
    "train/lr": [[1, 0.1], [2, 0.01]],
    "train/images_per_s": [[1, 200.0], [2, 400.0]],
}
PERCENT = {("last", "natural", 0): 95.0, ("last", "pgd", 0): 55.0, ("last", "pgd", 1): 50.0, ("early", "pgd", 0): 45.0}
PLACES = {"tensorboard": "tensorboard:logs", "wandb": "wandb:mine", "mlflow": "mlflow:own.db"}
READ_AT = {"tensorboard": "logs", "wandb": ".", "mlflow": "own.db"}
Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=NAMED)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Told]:
    """The name of a tracker, and what its reader reads of the story."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    alerts: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WANDB_MODE", "offline")
        (tracker,) = trackers_of(PLACES[name], folder / "runs")
        guarded = GuardedTracker(tracker, lambda _: None, alerts.append)
        for method, arguments in CALLS:
            guarded.call(method, *arguments)
        guarded.close()
    assert alerts == []
    command = [sys.executable, "-W", "ignore", "-m", "tests.harness.trackers.readers", name, folder / READ_AT[name]]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return name, json.loads(ended.stdout)


def of_run(told: tuple[str, Told], number: int) -> dict[str, Any]:
    """What was read of a run of the story; TensorBoard's folders have its key, too."""
    (found,) = [read for name, read in told[1].items() if name.endswith(RUNS[number].name)]
    return found


def test_two_runs_and_no_more(told: tuple[str, Told]) -> None:
    assert len(told[1]) == 2


def test_epochs_stand_at_their_step_once(told: tuple[str, Told]) -> None:
    first, second = (of_run(told, number)["scalars"] for number in (0, 1))
    assert {key: values for key, values in first.items() if key.startswith("train/")} == near(TRAIN)
    assert {key: values for key, values in second.items() if key.startswith("train/")} == near(
        {key: values[:1] for key, values in TRAIN.items()}
    )


def near(values: dict[str, list[list[float]]]) -> Any:
    """TensorBoard keeps float32."""
    return {key: [pytest.approx(pair, rel=1e-6) for pair in pairs] for key, pairs in values.items()}


def test_what_the_method_logged(told: tuple[str, Told]) -> None:
    key = {"mlflow": "diagnostics/flips _28_mean_29_"}.get(told[0], "diagnostics/flips (mean)")
    assert of_run(told, 0)["scalars"][key] == [[record.epoch, record.diagnostics["flips (mean)"]] for record in EPOCHS]


def test_the_recorded_curve_in_percent_and_the_histogram_with_its_counts(told: tuple[str, Told]) -> None:
    read = of_run(told, 0)
    curve = {key.removeprefix("curve/"): v for key, v in read["scalars"].items() if key.startswith("curve/")}
    assert curve == {"test/natural": [[2, 75.0]], "test/pgd": [[2, 32.5]], "train/pgd": [[2, 37.5]]}
    counts, limits = [3, 0, 7, 1], [0.0, 0.5, 1.0, 1.5, 2.0]
    if told[0] == "tensorboard":  # the upper limit of each bin, and the least of all
        ((step, upper, kept),) = read["histograms"]["histograms/weights"]
        assert (step, upper, kept) == (2, limits[1:], counts)
    elif told[0] == "wandb":
        assert read["histograms"]["histograms/weights"] == [[2, limits, counts]]
    assert "histograms/weights" not in read["scalars"]


def test_each_accuracy_in_percent_under_a_name_that_tells_its_seed(told: tuple[str, Told]) -> None:
    name, read = told[0], of_run(told, 0)
    if name == "tensorboard":
        found = {
            (*key.split("/")[1:], seed): percent
            for key, values in read["scalars"].items()
            if key.startswith("accuracy/")
            for seed, percent in values
        }
    else:
        place = {key: values[0][1] for key, values in read["scalars"].items()} if name == "mlflow" else read["texts"]
        parts = {key: key.split("/") for key in place if key.startswith("accuracy/")}
        found = {(p[1], p[2], int(p[3].removeprefix("seed "))): place[key] for key, p in parts.items()}
    assert found == PERCENT


def test_flags_with_their_reason(told: tuple[str, Told]) -> None:
    dot = "." if told[0] == "mlflow" else "/"
    reason = of_run(told, 0)["texts"][dot.join(("flags", "last", "autoattack-gap"))]
    assert reason.strip() == "PGD is 9 points above AutoAttack"
    assert not [key for key in of_run(told, 1)["texts"] if key.startswith("flags")]


def test_how_runs_ended(told: tuple[str, Told]) -> None:
    reason = "a weight is not finite at epoch 2"
    done, failed = of_run(told, 0), of_run(told, 1)
    if told[0] == "mlflow":
        assert (done["status"], failed["status"]) == ("FINISHED", "FAILED")
        assert failed["texts"]["harness.failure"] == reason
    else:
        assert (done["texts"]["status"].strip(), failed["texts"]["status"].strip()) == ("done", f"failed: {reason}")
    if told[0] == "wandb":
        assert (done["status"], failed["status"]) == (0, 1)


def test_settings_group_and_tags(told: tuple[str, Told]) -> None:
    name, read = told[0], of_run(told, 0)
    if name == "tensorboard":
        assert json.loads(read["texts"]["settings"]) == SETTINGS | {"tags": ["paper", "two words"]}
    elif name == "wandb":
        assert read["settings"].items() >= SETTINGS.items()
        assert (read["group"], read["tags"], read["git"]) == ("sat-tiny", ["paper", "two words"], "")
    else:
        assert read["settings"] == {
            "run": "1",
            "method": "sat",
            "method_settings": "{}",
            "training.lr": "0.1",
            "training.lr_drops": "[0.5, 0.75]",
            "training.start": "uniform",
            "code.a _28_b_29_": "x",
        }
        assert read["texts"].items() >= {"harness.group": "sat-tiny", "harness.tag.two words": "two words"}.items()
