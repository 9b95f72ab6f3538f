"""``harness evaluate`` from the command line to the store: runs, models from elsewhere, other balls, sweeps, stops."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from attacks.pgd import PGD
from harness.cli.main import main
from harness.data.digits import Digits
from harness.dataset import Split
from harness.evaluation.evaluator import evaluate
from harness.evaluation.images import Images
from harness.events import BlockDone
from harness.execution.executor import InProcess
from harness.leaderboard.board import MEASURED, Board
from harness.leaderboard.ranking import boards
from harness.networks.smallcnn import SmallCNN
from harness.seeds import generator
from harness.store.records import ModelRecord, RunRecord
from harness.store.store import Store
from harness.threat import Threat
from tests.cli.conftest import Harness

PROTOCOL = """
summary = "seconds"
epsilon = 0.2
[train]
epochs = 4
batch_size = 64
lr = 0.1
lr_drops = []
lr_factor = 0.1
momentum = 0.9
weight_decay = 0.0
steps = 2
relative_step = 0.6
start = "uniform"
early = 0.5
precision = "float32"
[evaluation]
checkpoints = ["last"]
steps = 3
relative_step = 0.5
start = "uniform"
block_size = 16
attacks = ["natural", "pgd", "cw"]
"""
N = 40  # images: three blocks
TRAIN = f"run sat --dataset digits --arch smallcnn --set width=4 --protocol quick.toml --limit {N} --workers 1"
HERE = "--db leaderboard.db --runs-dir runs --workers 1"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, evaluated with one attack seed, and its protocol."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "quick.toml").write_text(PROTOCOL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("HARNESS_DB", raising=False)
        patch.setattr(sys, "argv", ["harness", *shlex.split(f"{TRAIN} --seeds 1 --no-checks")])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0
    return folder


@pytest.fixture
def place(elsewhere: Path, trained: Path) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(trained, elsewhere, dirs_exist_ok=True)
    return elsewhere


def store_of(place: Path) -> tuple[list[RunRecord], list[ModelRecord], dict[int, bytes], list[Board]]:
    store = Store.read(str(place / "leaderboard.db"))
    runs, models = store.runs(), store.models()
    owners = [c for run in runs for c in run.checkpoints] + [model.checkpoint for model in models]
    verdicts = store.verdicts_of([e.id for c in owners for e in c.evaluations])
    measured = [board for board in boards(store) if board.source == MEASURED]
    store.close()
    return runs, models, verdicts, measured


def the_run(place: Path) -> RunRecord:
    (run,) = store_of(place)[0]
    return run


def weights(place: Path) -> Path:
    (file,) = place.glob("runs/*/last.safetensors")
    return file


def refused(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that must be refused: one line."""
    monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(command)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    *before, line = err.splitlines()
    assert command.startswith("run ") or all(told.startswith("normalisation: ") for told in before)
    return line


class TestRuns:
    def test_more_seeds_and_other_attacks_are_added_to_the_run(self, harness: Harness, place: Path) -> None:
        document = json.loads(harness(f"evaluate 1 --attacks pgd,fgsm --seeds 2 --limit {N} --no-checks --json {HERE}"))
        last = the_run(place).checkpoint("last")
        assert last is not None
        assert [(e.attack, e.seed, e.complete) for e in last.evaluations] == [
            *(("natural", 0, True), ("pgd", 0, True), ("cw", 0, True)),
            *(("pgd", 1, True), ("fgsm", 0, True)),
        ]
        (report,) = document["reports"]
        assert list(report["metrics"]) == ["natural", "pgd", "fgsm"]  # natural accuracy costs nothing
        percents = [e.percent for e in last.evaluations if e.attack == "pgd"]
        assert report["metrics"]["pgd"]["median"] == pytest.approx(sum(percents) / 2)
        assert report["metrics"]["pgd"]["n"] == 2
        low, high = (report["metrics"]["pgd"]["wilson"][end] for end in ("low", "high"))
        assert low < report["metrics"]["pgd"]["median"] < high

    def test_fewer_seeds_than_there_are_give_the_figure_of_those_asked_for(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --attacks pgd --seeds 3 --limit {N} --no-checks {HERE}")
        seeds = {e.seed: e.percent for e in the_run(place).checkpoints[-1].evaluations if e.attack == "pgd"}
        assert len(seeds) == 3
        command = f"evaluate 1 --attacks pgd --seeds 1 --limit {N} --no-checks --json {HERE}"
        figure = json.loads(harness(command))["reports"][0]["metrics"]["pgd"]
        assert (figure["median"], figure["n"]) == (seeds[0], 1)

    def test_all_test_images_are_attacked_where_no_limit_is_given(self, harness: Harness, place: Path) -> None:
        (report,) = json.loads(harness(f"evaluate 1 --attacks fgsm --no-checks --json {HERE}"))["reports"]
        last = the_run(place).checkpoint("last")
        assert last is not None
        told = [(e.attack, e.examples, e.complete) for e in last.evaluations[3:]]
        assert told == [("natural", 360, True), ("fgsm", 360, True)]
        assert report["examples"] == 360

    def test_the_worst_case_counts_images_that_every_attack_leaves(self, harness: Harness, place: Path) -> None:
        (report,) = json.loads(harness(f"evaluate 1 --seeds 2 --limit {N} --no-checks --json {HERE}"))["reports"]
        (run,), _, verdicts, _ = store_of(place)
        evaluations = run.checkpoints[-1].evaluations
        assert len(evaluations) == 5
        robust = [all(verdicts[e.id][i] for e in evaluations) for i in range(N)]
        assert report["worst_case"]["percent"] == 100 * sum(robust) / N
        assert report["worst_case"]["attacks"] == {"natural": 1, "pgd": 2, "cw": 2}
        assert 0 < sum(robust) < N

    def test_a_checkpoint_and_the_file_of_its_weights_name_the_run(self, harness: Harness, place: Path) -> None:
        shutil.copy(weights(place), place / "copy.safetensors")
        for target in ("1:early", "copy.safetensors"):
            harness(f"evaluate {target} --attacks fgsm --limit {N} --no-checks {HERE}")
        (run,), models, _, _ = store_of(place)
        assert models == []
        found = {c.name: [e.attack for e in c.evaluations] for c in run.checkpoints}
        assert found == {"early": ["natural", "fgsm"], "last": ["natural", "pgd", "cw", "fgsm"]}

    def test_of_equal_attempts_a_file_names_the_newest(self, harness: Harness, place: Path) -> None:
        harness(f"{TRAIN} --seeds 1 --no-checks --fresh --db leaderboard.db --runs-dir runs")
        files = list(place.glob("runs/*/last.safetensors"))
        assert len({file.read_bytes() for file in files}) == 1 < len(files)
        harness(f"evaluate {files[0]} --attacks fgsm --limit {N} --no-checks {HERE}")
        attacks = [[e.attack for e in run.checkpoints[-1].evaluations] for run in store_of(place)[0]]
        assert attacks == [["natural", "pgd", "cw"], ["natural", "pgd", "cw", "fgsm"]]

    @pytest.mark.parametrize("checks", ["", "--no-checks"])
    def test_what_is_there_is_not_repeated(self, checks: str, harness: Harness, place: Path) -> None:
        command = f"evaluate 1 --seeds 1 --limit {N} {checks} {HERE}"
        first = harness(command)
        before = (place / "leaderboard.db").read_bytes()
        assert harness(command) == first
        assert (place / "leaderboard.db").read_bytes() == before

    def test_another_ball_is_another_board_and_leaves_the_first(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --epsilon 4/255 --seeds 1 --limit {N} --no-checks {HERE}")
        (run,), _, _, measured = store_of(place)
        radii = [e.settings.get("epsilon") for e in run.checkpoints[-1].evaluations]
        assert radii == [None, 0.2, 0.2, 4 / 255, 4 / 255]  # natural accuracy knows no ball, and is shared
        assert len(measured) == 2
        wide, narrow = (board.rows[0].metrics["pgd"] for board in measured)
        assert wide is not None
        assert narrow is not None
        assert narrow.median > wide.median
        again = json.loads(harness(f"evaluate 1 --seeds 1 --limit {N} --no-checks --json {HERE}"))
        assert again["reports"][0]["epsilon"] == 0.2  # the ball it was trained in is still the default

    def test_the_radius_of_the_training_is_no_other_ball(self, harness: Harness, place: Path) -> None:
        before = store_of(place)[3]
        harness(f"evaluate 1 --epsilon 0.2 --seeds 1 --limit {N} --no-checks {HERE}")
        assert store_of(place)[3] == before

    def test_a_runs_ball_is_its_own_whatever_was_evaluated_before_it(self, harness: Harness, place: Path) -> None:
        save_file(load_file(weights(place)), place / "bare.safetensors")
        (place / "leaderboard.db").unlink()
        elsewhere = f"--dataset digits --protocol quick.toml --epsilon 0.1 --limit {N} --seeds 1 --no-checks {HERE}"
        harness(f"evaluate bare.safetensors --attacks pgd {elsewhere}")  # the first that the store hears of quick.toml
        harness(f"{TRAIN} --seeds 1 --no-checks --db leaderboard.db --runs-dir runs")
        (report,) = json.loads(harness(f"evaluate 1 --seeds 1 --limit {N} --no-checks --json {HERE}"))["reports"]
        assert report["epsilon"] == 0.2
        harness(f"evaluate 1 --epsilon 0.1 --seeds 1 --limit {N} --no-checks {HERE}")
        (report,) = json.loads(harness(f"evaluate 1 --seeds 1 --limit {N} --no-checks --json {HERE}"))["reports"]
        assert report["epsilon"] == 0.2

    def test_what_is_found_under_stronger_attacks_is_told_of_them_alone(self, harness: Harness, place: Path) -> None:
        command = f"evaluate 1 --seeds 1 --limit {N} {HERE}"
        harness(command)
        (run,), _, _, (board,) = store_of(place)
        assert board.scope is not None
        found = run.checkpoints[-1].findings(board.scope)
        harness(f"{command} --set pgd.restarts=9")
        (run,), _, _, measured = store_of(place)
        last = run.checkpoints[-1]
        own, stronger = (last.findings(board.scope) for board in measured if board.scope is not None)
        assert own == found
        assert [finding.check for finding in stronger] == [finding.check for finding in found]
        kinds = [examination.settings["kind"] for examination in last.examinations]
        assert kinds == ["model", "verdicts", "verdicts"]  # the budget of the model's own examination is the same

    def test_the_verdicts_are_those_of_the_evaluator_on_each_block(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --attacks pgd --set pgd.restarts=2 --epsilon 0.1 --seeds 1 --limit {N} --no-checks {HERE}")
        (run,), _, verdicts, _ = store_of(place)
        (stored,) = [e for e in run.checkpoints[-1].evaluations if e.settings.get("restarts") == 2]
        data = Digits().load(place)
        model = SmallCNN(width=4).build(data.shape)
        model.load_state_dict(load_file(weights(place)))
        threat = Threat(epsilon=0.1, steps=3, step_size=0.05, start="uniform")
        expected, margins = b"", []
        places = data.places(Images(N, "balanced"))
        for start in (0, 16, 32):
            part = places[start : min(start + 16, N)]
            x, y = data.pixels(data.test.images[part]), data.test.labels[part]
            draws = generator(torch.device("cpu"), 0, "evaluation", "pgd", start)
            outcome = evaluate(model, PGD(restarts=2), x, y, threat, draws)
            expected += bytes(outcome.correct.tolist())
            margins += outcome.margins.half().tolist()
        assert verdicts[stored.id] == expected
        store = Store.read(str(place / "leaderboard.db"))
        assert store.margins(stored.id) == margins  # which other random numbers would change
        store.close()

    def test_each_checkpoint_is_attacked_with_its_own_weights(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --set evaluation.checkpoints=early,last --attacks fgsm --limit {N} --no-checks {HERE}")
        (run,), _, verdicts, _ = store_of(place)
        data = Digits().load(place)
        places = data.places(Images(N, "balanced"))
        x, y = data.pixels(data.test.images[places]), data.test.labels[places]
        found = []
        for checkpoint in run.checkpoints:
            (natural,) = [e for e in checkpoint.evaluations if e.attack == "natural"]
            model = SmallCNN(width=4).build(data.shape).eval()
            model.load_state_dict(load_file(weights(place).with_name(f"{checkpoint.name}.safetensors")))
            assert verdicts[natural.id] == bytes((model(x).argmax(1) == y).tolist())
            found.append(verdicts[natural.id])
        assert found[0] != found[1]


def test_networks_that_are_to_be_examined_alone_are_shared_out_among_workers(
    harness: Harness, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def counted(items: int, *_: object) -> InProcess:
        told.append(items)
        return InProcess()

    monkeypatch.setattr("harness.execution.conduct.executor_for", counted)
    train = f"{TRAIN} --seeds 1 --set evaluation.checkpoints=early,last --db leaderboard.db --runs-dir runs"
    harness(f"{train} --no-checks")
    harness(train)
    harness(train)
    assert told == [3 * 3, 2, 0]  # three attacks on three blocks of the other checkpoint; then a look at each
    assert len(store_of(place)[0][0].checkpoints[0].examinations) == 2


class TestSweep:
    def test_accuracy_against_the_radius(self, harness: Harness, place: Path) -> None:
        command = f"evaluate 1 --sweep 0,4,16,128 --seeds 1 --limit {N} {HERE}"
        reports = json.loads(harness(f"{command} --json"))["reports"]
        assert [report["epsilon"] for report in reports] == [0, 4 / 255, 16 / 255, 128 / 255]
        assert all(list(report["metrics"]) == ["pgd"] for report in reports)  # natural accuracy knows no radius
        accuracies = [report["metrics"]["pgd"]["median"] for report in reports]
        natural = the_run(place).checkpoints[-1].evaluations[0]
        assert accuracies[0] == natural.percent  # a ball of radius 0 is the image itself
        assert accuracies == sorted(accuracies, reverse=True)
        assert accuracies[-1] < accuracies[0]
        lines = harness(command).splitlines()
        bars = {line.split()[0]: line.count("█") for line in lines if "[" in line and "Wilson" not in line}
        assert bars == {
            name: round(40 * value / 100)
            for name, value in zip(("0", "4/255", "16/255", "128/255"), accuracies, strict=True)
        }

    def test_show_tells_the_radii_apart(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --sweep 0,64 --seeds 1 --limit {N} {HERE}")
        harness(f"evaluate 1 --attacks pgd --set pgd.restarts=3 --seeds 1 --limit {N} --no-checks {HERE}")
        lines = [line.split() for line in harness("show 1 --db leaderboard.db").splitlines() if " pgd " in line]
        told = [[word for word in line if "=" in word] for line in lines]
        assert told == [
            ["epsilon=0.2", "step_size=0.1"],
            ["epsilon=0", "step_size=0"],
            ["epsilon=0.25098", "step_size=0.12549"],
            ["restarts=3", "epsilon=0.2", "step_size=0.1"],
        ]

    def test_it_keeps_no_protocol_of_its_own(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --sweep 0,64 --seeds 1 --limit {N} {HERE}")
        assert len(store_of(place)[3]) == 1

    @pytest.mark.parametrize("text", ["", "a", "1,-2", "256", "1/255"])
    def test_what_is_no_radius_is_refused(
        self, text: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "--sweep" in refused(f"evaluate 1 '--sweep={text}' {HERE}", monkeypatch, capsys)


class TestModelsFromElsewhere:
    def test_a_state_dict_is_on_the_board_beside_the_run_and_marked(self, harness: Harness, place: Path) -> None:
        state = {f"module.{name}": tensor for name, tensor in load_file(weights(place)).items()}
        torch.save({"state_dict": state, "epoch": 3}, place / "theirs.pt")
        protocol = f"--dataset digits --protocol quick.toml --limit {N} --no-checks {HERE}"
        harness(f"evaluate theirs.pt --seeds 1 --name theirs {protocol}")
        (run,), (model,), verdicts, (board,) = store_of(place)
        assert (model.name, model.network, model.network_settings) == ("theirs", "smallcnn", {"width": 4})
        ours = {(e.attack, e.seed): verdicts[e.id] for e in run.checkpoints[-1].evaluations}
        assert {(e.attack, e.seed): verdicts[e.id] for e in model.checkpoint.evaluations} == ours  # the same weights
        by_label = {row.label: row for row in board.rows}
        assert by_label["theirs"].metrics == by_label["sat"].metrics
        assert [by_label[label].trained_here for label in ("theirs", "sat")] == [False, True]
        shown = json.loads(harness("leaderboard --format json --db leaderboard.db"))["rows"]
        told = {row["method"]: row["trained_under_protocol"] for row in shown if row["source"] == MEASURED}
        assert told == {"theirs": False, "sat": True}
        assert "not trained under the protocol" in harness("leaderboard --dataset digits --db leaderboard.db")
        for command in ("compare sat theirs", "compare sat theirs --vulnerable --attack pgd"):
            text = harness(f"{command} --dataset digits --db leaderboard.db")
            assert "None" not in text
            assert "1, -" in text  # run 1, and no run

    @pytest.mark.parametrize(
        ("target", "line"),
        [
            ("theirs.pt", "(x - 0.3) / 0.4, from config.data.mean and config.data.std in theirs.pt"),
            ("theirs.pt --no-normalisation", "none, as asked"),
            ("mynet.py:make --mean 0.3 --std 0.4", "(x - 0.3) / 0.4, as given"),
            ("mynet.py:make", None),
        ],
    )
    def test_its_normalisation_is_told_and_shown(
        self,
        target: str,
        line: str | None,
        harness: Harness,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        settings = {"data": {"mean": [0.3], "std": [0.4]}}
        torch.save({"model": load_file(weights(place)), "config": settings}, place / "theirs.pt")
        (place / "mynet.py").write_text(
            "from torch import nn\n\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
        )
        command = f"evaluate {target} --name it --dataset digits --protocol quick.toml --limit 8 --no-checks --json"
        monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(f"{command} --attacks pgd --seeds 1 {HERE}")])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code, len(json.loads(out)["reports"])) == (0, 1)
        told = [text for text in err.splitlines() if text.startswith("normalisation: ")]
        assert told == ([] if line is None else [f"normalisation: {line}"])
        shown = harness("show it --db leaderboard.db").splitlines()
        (fact,) = [text.split(None, 1)[1].strip() for text in shown if text.startswith("normalisation")]
        assert fact == (line or "none put inside")

    def test_it_keeps_its_name_until_another_is_given(self, harness: Harness, place: Path) -> None:
        save_file(load_file(weights(place)), place / "bare.safetensors")
        command = (
            f"evaluate bare.safetensors --dataset digits --protocol quick.toml --seeds 1 --limit 8 --no-checks {HERE}"
        )
        names = []
        for asked in ("--attacks pgd", "--attacks pgd --name ours", "--attacks cw", "--attacks cw --name theirs"):
            harness(f"{command} {asked}")
            names += [model.name for model in store_of(place)[1]]
        assert names == ["bare.safetensors", "ours", "ours", "theirs"]

    def test_show_and_runs_know_it(self, harness: Harness, place: Path) -> None:
        save_file(load_file(weights(place)), place / "bare.safetensors")
        harness(f"evaluate bare.safetensors --attacks pgd --dataset digits --protocol quick.toml --limit 8 {HERE}")
        shown = json.loads(harness("show bare.safetensors --json --db leaderboard.db"))
        assert shown["provenance"]["target"] == "bare.safetensors"
        assert shown["checkpoint"]["examinations"]
        assert "not trained by harness" in harness("show bare.safetensors --db leaderboard.db")
        listed = json.loads(harness("runs --json --db leaderboard.db"))["models"]
        assert [(entry["model"], entry["evaluations"]) for entry in listed] == [("bare.safetensors", 2 + 4)]

    def test_a_users_own_network(self, harness: Harness, place: Path) -> None:
        (place / "mynet.py").write_text(
            "import torch\nfrom torch import nn\n"
            "def make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
        )
        harness(f"evaluate mynet.py:make --seeds 1 --dataset digits --protocol quick.toml --limit 8 --no-checks {HERE}")
        (model,) = store_of(place)[1]
        assert model.parameters == 650
        assert all(e.complete for e in model.checkpoint.evaluations)

    def test_a_name_with_brackets_is_shown_as_it_is(self, harness: Harness, place: Path) -> None:
        for scale, name in ((1.0, "a[/i] [red]b"), (2.0, "c")):
            save_file({k: v * scale for k, v in load_file(weights(place)).items()}, place / "x.safetensors")
            options = "--attacks pgd --seeds 1 --dataset digits --protocol quick.toml --limit 8 --no-checks"
            harness(f"evaluate x.safetensors --name '{name}' {options} {HERE}")
        for command in ("runs", "leaderboard", "show 'a[/i] [red]b'", "compare 'a[/i] [red]b' c"):
            assert "a[/i] [red]b" in harness(f"{command} --db leaderboard.db"), command
        compared = harness("compare c 'a[/i] [red]b' --db leaderboard.db")
        assert "None" not in compared
        assert "training seed in common" not in compared  # nothing is known of how they were trained

    def test_one_model_on_two_data_sets_is_shown_on_the_one_that_is_named(
        self, harness: Harness, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for part in ("train", "test"):
            for label in range(10):
                (place / "pets" / part / str(label)).mkdir(parents=True)
                pixels = np.full((8, 8), 20 * label, np.uint8)
                Image.fromarray(pixels).save(place / "pets" / part / str(label) / "1.png")
        (place / "mynet.py").write_text(
            "from torch import nn\n"
            "net = nn.Sequential(nn.AdaptiveAvgPool3d((1, 8, 8)), nn.Flatten(), nn.Linear(64, 10))\n"
        )
        for data in ("digits", "folder:pets"):
            options = f"--dataset {data} --attacks pgd --seeds 1 --protocol quick.toml --limit 8 --no-checks {HERE}"
            harness(f"evaluate mynet.py:net {options}")
        line = refused("show mynet.py:net --db leaderboard.db", monkeypatch, capsys)
        assert "2 models are called mynet.py:net, on digits [c6a4c6b3], folder:pets [" in line
        line = refused("show mynet.py:net --dataset svhn --db leaderboard.db", monkeypatch, capsys)
        assert "was not evaluated on svhn, but on digits" in line
        for data in ("digits", "folder:pets"):
            shown = json.loads(harness(f"show mynet.py:net --dataset {data} --json --db leaderboard.db"))
            assert shown["dataset"]["name"] == data

    def test_what_it_prints_goes_to_standard_error(self, harness: Harness, place: Path) -> None:
        (place / "chatty.py").write_text(
            "from torch import nn\n"
            "class Net(nn.Module):\n"
            "    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(64, 10)\n"
            "    def forward(self, x):\n        print('forward')\n        return self.layer(x.flatten(1))\n"
        )
        options = f"--seeds 1 --dataset digits --protocol quick.toml --limit 8 --json {HERE}"
        assert json.loads(harness(f"evaluate chatty.py:Net {options}"))["reports"]


class TestChecks:
    """What the checks find is tested beside them; here: that it reaches the store, the board, and the user."""

    MODEL = "import torch\nfrom torch import nn\n\n\nclass Constant(nn.Module):\n    def forward(self, x):\n"
    MODEL += "        return 5 * torch.eye(10)[3].repeat(len(x), 1) + 0 * x.sum()\n"
    COMMAND = f"evaluate broken.py:Constant --name broken --dataset digits --protocol quick.toml --limit {N} {HERE}"

    def test_a_broken_model_is_flagged_wherever_it_is_shown(self, harness: Harness, place: Path) -> None:
        (place / "broken.py").write_text(self.MODEL)
        told = harness(self.COMMAND)
        assert "class-collapse" in told
        _, (model,), _, (measured,) = store_of(place)
        assert measured.scope is not None
        flagged = {f.check: f for f in model.checkpoint.findings(measured.scope) if f.status == "flagged"}
        assert {"class-collapse", "robust-everywhere"} <= flagged.keys()
        assert {e.settings["kind"] for e in model.checkpoint.examinations} == {"model", "verdicts"}
        shown = harness("show broken --db leaderboard.db")
        board = harness("leaderboard --dataset digits --db leaderboard.db")
        for finding in flagged.values():
            assert f"{finding.mark} {finding.check}: {finding.reason[:20]}" in shown
            assert f"{finding.mark} broken †: {finding.check}" in board
        rows = {r["method"]: r for r in json.loads(harness("leaderboard --format json --db leaderboard.db"))["rows"]}
        assert {flag["check"] for flag in rows["broken"]["flags"]} == flagged.keys()
        assert rows["sat"]["flags"] is None or rows["sat"]["source"] == "reported"  # the run was not examined

    def test_they_are_not_made_again_and_can_be_left_out(self, harness: Harness, place: Path) -> None:
        (place / "broken.py").write_text(self.MODEL)
        harness(f"{self.COMMAND} --no-checks")
        assert store_of(place)[1][0].checkpoint.examinations == ()
        harness(self.COMMAND)
        examined = store_of(place)[1][0].checkpoint.examinations
        assert len(examined) == 2
        harness(self.COMMAND)
        assert store_of(place)[1][0].checkpoint.examinations == examined

    def test_a_run_ends_with_them_too(self, harness: Harness, place: Path) -> None:
        assert the_run(place).checkpoints[-1].examinations == ()
        harness(f"{TRAIN} --seeds 1")  # nothing else is missing
        (model, verdicts) = the_run(place).checkpoints[-1].examinations
        assert {finding.check for finding in model.findings} >= {"zero-gradient", "not-logits", "fgsm-stronger"}
        assert "autoattack-gap" in {finding.check for finding in verdicts.findings}


class TestStops:
    @pytest.mark.parametrize("after", [1, 3, 4])
    def test_a_stop_loses_at_most_one_block_and_the_rest_gives_the_same_verdicts(
        self, after: int, harness: Harness, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        command = f"evaluate 1 --epsilon 0.1 --seeds 2 --limit {N} --no-checks {HERE}"
        whole = place / "whole"
        shutil.copytree(place / "runs", whole / "runs")
        shutil.copy(place / "leaderboard.db", whole)
        monkeypatch.chdir(whole)
        harness(command)
        monkeypatch.chdir(place)
        add = Store.add_block
        told: list[BlockDone] = []

        def stopping(self: Store, block: BlockDone) -> None:
            if len(told) == after:
                raise KeyboardInterrupt
            add(self, block)
            told.append(block)

        with monkeypatch.context() as patch:
            patch.setattr(Store, "add_block", stopping)
            patch.setattr(sys, "argv", ["harness", *shlex.split(command)])
            with pytest.raises(SystemExit) as ended:
                main()
        assert ended.value.code == 130
        assert sum(len(e.blocks) for e in new(place)) == after
        harness(command)
        assert by_identity(place) == by_identity(whole)
        assert len(by_identity(place)) == 4


def new(place: Path) -> list[Any]:
    """The evaluations in the ball of radius 0.1."""
    return [e for e in the_run(place).checkpoints[-1].evaluations if e.settings.get("epsilon") == 0.1]


def by_identity(place: Path) -> dict[tuple[str, int], bytes]:
    verdicts = store_of(place)[2]
    return {(e.attack, e.seed): verdicts[e.id] for e in new(place)}


class TestRefused:
    @pytest.mark.parametrize(
        ("command", "told"),
        [
            ("evaluate 7", "there is no run 7"),
            ("evaluate 1:best", "run 1 has no checkpoint 'best'; write 1:early or 1:last"),
            ("evaluate 1 --epsilon 8", "write 8/255 rather than 8"),
            ("evaluate 1 --epsilon=-1/255", "epsilon"),
            ("evaluate 1 --attacks pdg", "unknown attack 'pdg'; did you mean 'pgd'"),
            ("evaluate 1 --attacks ,", "--attacks ',' is refused"),
            ("evaluate 1 --seeds 0", "--seeds 0 is refused"),
            ("evaluate 1 --limit 999999", "360 test images"),
            ("evaluate 1 --protocol quick.toml", "--protocol is refused: 1 is a run"),
            ("evaluate 1 --mean 0.5 --std 0.5", "--mean is refused: 1 is a run"),
            ("evaluate 1 --no-normalisation", "--no-normalisation is refused: 1 is a run"),
            (
                "evaluate mynet:make --dataset digits --no-normalisation",
                "--no-normalisation is refused: it is for weights",
            ),
            ("evaluate 1 --arch smallcnn", "--arch is refused: 1 is a run"),
            ("evaluate 1 --set network.width=8", "--set network.width is refused: 1 is a run"),
            ("evaluate 1 --name mine", "--name is refused: 1 is a run"),
            ("evaluate bare.safetensors --name 1 --dataset digits", "--name '1' is refused: a number is a run's"),
            ("evaluate 1 --sweep 0,8 --epsilon 8/255", "--epsilon and --sweep exclude each other"),
            ("evaluate 1 --sweep 0,8 --attacks natural", "--sweep is refused: no attack here moves in a ball"),
            ("evaluate ''", "TARGET '' is refused: name a run's number, a weights file"),
            ("show 1 --dataset digits --db leaderboard.db", "--dataset is refused: 1 is a run"),
            ("evaluate 1 --set train.lr=1", "--set train.lr is refused: nothing is trained"),
            ("evaluate 1 --set epsilon=0.1", "--epsilon changes the ball of the attacks"),
            ("evaluate nothing.pt --dataset digits", "nothing.pt"),
            ("evaluate no.such.module:make --dataset digits", "no.such.module"),
        ],
    )
    def test_in_one_line_and_nothing_is_written(
        self,
        command: str,
        told: str,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        assert told in refused(command if "--db" in command else f"{command} {HERE}", monkeypatch, capsys)
        assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before

    def test_other_images_than_the_runs(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        whole = Digits().load(place)
        fewer = replace(whole, test=Split(whole.test.images[1:], whole.test.labels[1:]))
        monkeypatch.setattr(Digits, "load", lambda *_: fewer)
        line = refused(f"evaluate 1 {HERE}", monkeypatch, capsys)
        for dataset in (whole, fewer):
            assert f"digits [{dataset.fingerprint[:8]}]" in line

    @pytest.mark.parametrize("command", ["evaluate 1 --epsilon 4/255", f"{TRAIN} --seeds 2 --no-checks"])
    @pytest.mark.parametrize("gone", [True, False])
    def test_weights_that_are_gone_or_others(
        self,
        command: str,
        gone: bool,
        harness: Harness,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        weights(place).unlink() if gone else weights(place).write_bytes(b"others")
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        told = "cannot be read (No such file or directory); give the --runs-dir" if gone else "are not those that"
        assert told in refused(f"{command} {HERE}", monkeypatch, capsys)
        assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
        harness("evaluate 1 --seeds 1 --limit 40 --no-checks " + HERE)  # what is there is shown without them

    def test_a_name_that_another_model_has(
        self, harness: Harness, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for scale in (1.0, 2.0):
            state = {name: tensor * scale for name, tensor in load_file(weights(place)).items()}
            save_file(state, place / f"times{scale:g}.safetensors")
        options = (
            f"--attacks pgd --seeds 1 --name same --dataset digits --protocol quick.toml --limit 8 --no-checks {HERE}"
        )
        harness(f"evaluate times1.safetensors {options}")
        line = refused(f"evaluate times2.safetensors {options}", monkeypatch, capsys)
        assert "another model on digits is called 'same'; give this one another --name" in line
