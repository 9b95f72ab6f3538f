"""``harness evaluate --dry-run``: what it says is what is then done, and it writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data.cifar10 import CIFAR10
from harness.plugin.dataset import Dataset, Split
from harness.plugin.network import Shape
from harness.targets.zoo import is_here
from tests.cli.conftest import Ends, Harness, Refused
from tests.cli.evaluate.given import HERE, TRAIN, N, store_of, the_run
from tests.tiny import draws

NET = "from torch import nn\n\n\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
MODEL = f"evaluate net.py:make --dataset digits --protocol quick.toml --limit {N} --seeds 2 --no-checks {HERE}"


def tree(place: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts}


@pytest.fixture
def planned(harness: Harness, place: Path) -> Any:
    """What a command says that it would do; it must leave every file as it is."""

    def plan(command: str) -> Any:
        before = tree(place)
        document = json.loads(harness(f"{command} --dry-run --json"))
        assert tree(place) == before
        return document

    return plan


def done(place: Path) -> set[tuple[str, str, int, float, str]]:
    """The complete evaluations: checkpoint, attack, seed, radius, norm; a radius that the attack does not read is 0."""
    runs, models, _, _ = store_of(place)
    checkpoints = [*(c for run in runs for c in run.checkpoints), *(model.checkpoint for model in models)]
    return {
        (c.name, e.attack, e.seed, round(e.settings.get("epsilon", 0), 6), e.settings.get("norm", "Linf"))
        for c in checkpoints
        for e in c.evaluations
        if e.complete
    }


L2 = "--seeds 1 --attacks fgsm --epsilon 1 --set evaluation.norm=L2"


@pytest.mark.parametrize(
    "options",
    ["--seeds 2", "--seeds 1 --attacks fgsm,pgd --epsilon 4/255", "--seeds 1 --sweep 0,16", L2],
    ids=["more seeds", "another ball and attack", "a sweep", "another norm"],
)
def test_a_run_goes_through_what_was_said(options: str, planned: Any, harness: Harness, place: Path) -> None:
    command = f"evaluate 1 {options} --limit {N} --no-checks {HERE}"
    before, plan = done(place), planned(command)
    said = {(e["checkpoint"], e["attack"], e["seed"], round(e["epsilon"], 6), e["norm"]) for e in plan["evaluations"]}
    assert {(e["blocks"], e["images"]) for e in plan["evaluations"]} == {(3, N)}
    assert plan["estimated_s"] > 0
    harness(command)
    assert done(place) - before == said
    again = planned(command)
    assert (again["evaluations"], again["estimated_s"]) == ([], 0)
    assert again["evaluations_done"] == plan["evaluations_done"] + len(said)
    assert again["evaluation_passes_at_most"] == {"forward": 0, "backward": 0}


def test_its_cost_is_that_of_the_same_attacks_in_a_run(planned: Any, place: Path) -> None:
    run = planned(f"{TRAIN} --seeds 2 --fresh {HERE}")
    evaluation = planned(f"evaluate 1 --seeds 2 --fresh --limit {N} {HERE}")
    for key in ("evaluation_passes_at_most", "examinations", "evaluations_done"):
        assert evaluation[key] == run[key]
    assert evaluation["examinations"] == 1
    natural = planned(f"evaluate 1 --attacks natural --fresh --no-checks --limit {N} {HERE}")
    assert natural["evaluation_passes_at_most"] == {"forward": N, "backward": 0}  # one pass an image


def test_a_model_from_elsewhere_before_and_after_it_is_known(planned: Any, harness: Harness, place: Path) -> None:
    (place / "net.py").write_text("import torch\ntorch.manual_seed(0)\n" + NET)
    plan = planned(MODEL)
    said = {(e["attack"], e["seed"]) for e in plan["evaluations"]}
    assert said == {("natural", 0), ("pgd", 0), ("pgd", 1), ("cw", 0), ("cw", 1)}
    assert plan["estimated_s"] is None  # this network was never timed
    harness(MODEL)
    again = planned(MODEL)
    assert (again["evaluations"], again["evaluations_done"]) == ([], 5)
    assert len(planned(f"{MODEL} --fresh")["evaluations"]) == 5


def test_in_words(harness: Harness, place: Path) -> None:
    text = harness(f"evaluate 1 --epsilon 4/255 --seeds 3 --limit {N} {HERE} --dry-run")
    assert text.splitlines()[:5] == [
        "device: cpu, 1 worker(s); nothing is written",
        "run 1: 6 evaluations to do, 1 done already",  # natural accuracy knows no ball
        "  last: pgd, epsilon 4/255, 3 seed(s)",
        "  last: cw, epsilon 4/255, 3 seed(s)",
        "checks of rigour: 1 checkpoint(s) to examine",
    ]


def test_nothing_is_made_where_nothing_was(harness: Harness, elsewhere: Path) -> None:
    (elsewhere / "net.py").write_text(NET)
    before = set(elsewhere.iterdir())
    assert "nothing is written" in harness("evaluate net.py:make --dataset digits --dry-run")
    assert {path for path in elsewhere.iterdir() if path.name != "__pycache__"} == before


def test_weights_that_are_gone_are_refused_as_without_it(place: Path, refused: Refused) -> None:
    (place / "runs" / the_run(place).folder / "last.safetensors").unlink()
    command = f"evaluate 1 --attacks fgsm --no-checks {HERE}"
    line = refused(f"{command} --dry-run")
    assert line == refused(f"{command}")
    assert "last.safetensors" in line


class TestDownloads:
    @pytest.mark.parametrize(("name", "images"), [("cifar10", 10_000), ("svhn", 26_032)])
    def test_it_counts_images_that_are_not_here_and_downloads_none(
        self, name: str, images: int, elsewhere: Path, ends: Ends
    ) -> None:
        (elsewhere / "net.py").write_text(NET.replace("64", "3072"))
        code, out, err = ends(f"evaluate net.py:make --dataset {name} --attacks pgd --seeds 1 --dry-run --json")
        assert code == 0, err
        assert f"{name}: its images are not here: counted as the published" in err
        assert {(e["attack"], e["images"]) for e in json.loads(out)["evaluations"]} == {
            ("natural", images),
            ("pgd", images),
        }
        assert not (elsewhere / "data").exists()

    def test_a_model_that_does_not_take_such_images_is_refused_without_them(
        self, elsewhere: Path, refused: Refused
    ) -> None:
        (elsewhere / "net.py").write_text(NET)
        assert "does not take the data set's images, 3x32x32" in refused("evaluate net.py:make --dry-run")

    def test_a_run_whose_images_are_gone(
        self, harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def noise(self: CIFAR10, data_dir: Path) -> Dataset:
            pixels = torch.randint(256, (20, 3, 32, 32), dtype=torch.uint8, generator=draws())
            split = Split(pixels, torch.arange(20) % 10)
            return Dataset("cifar10", split, split, tuple("0123456789"))

        monkeypatch.setattr(CIFAR10, "outline", (Shape(3, 32, 32, 10), 20, 20))
        asked = "--attacks natural,pgd --no-checks --device cpu"
        with monkeypatch.context() as there:
            there.setattr(CIFAR10, "load", noise)
            harness(f"run standard --arch smallcnn --set width=2 --epochs 1 {asked} --seeds 1 --workers 1")
        plan = json.loads(harness(f"evaluate 1 {asked} --seeds 2 --dry-run --json"))
        assert {(e["checkpoint"], e["attack"], e["seed"], e["images"]) for e in plan["evaluations"]} == {
            ("early", "pgd", 1, 20),
            ("last", "pgd", 1, 20),
        }
        assert plan["evaluations_done"] == 4  # natural accuracy and the first seed, of both checkpoints

    def test_nor_weights(self, tmp_path: Path) -> None:
        file = tmp_path / "robustbench" / "cifar10" / "Linf" / "Wong2020Fast.pt"  # where RobustBench keeps them
        assert not is_here("robustbench:Wong2020Fast", "cifar10", tmp_path)
        file.parent.mkdir(parents=True)
        file.touch()
        assert is_here("robustbench:Wong2020Fast", "cifar10", tmp_path)
        assert not is_here("robustbench:Wong2020Fast", "cifar100", tmp_path)
        assert is_here("net.pt", "cifar10", tmp_path)
