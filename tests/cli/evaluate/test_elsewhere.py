"""``harness evaluate`` of models from elsewhere, from the command line to the board."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from harness.leaderboard.board import MEASURED
from tests.cli.conftest import Ends, Harness, Refused
from tests.cli.evaluate.given import HERE, N, store_of, weights


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
        self, target: str, line: str | None, harness: Harness, place: Path, ends: Ends
    ) -> None:
        settings = {"data": {"mean": [0.3], "std": [0.4]}}
        torch.save({"model": load_file(weights(place)), "config": settings}, place / "theirs.pt")
        (place / "mynet.py").write_text(
            "from torch import nn\n\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
        )
        command = f"evaluate {target} --name it --dataset digits --protocol quick.toml --limit 8 --no-checks --json"
        code, out, err = ends(f"{command} --attacks pgd --seeds 1 {HERE}")
        assert (code, len(json.loads(out)["reports"])) == (0, 1)
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
        self, harness: Harness, place: Path, refused: Refused
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
        line = refused("show mynet.py:net --db leaderboard.db")
        assert "2 models are called mynet.py:net, on digits [c6a4c6b3], folder:pets [" in line
        line = refused("show mynet.py:net --dataset svhn --db leaderboard.db")
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
