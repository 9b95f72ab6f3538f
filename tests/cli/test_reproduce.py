"""``harness reproduce`` through the entry point: its plan, a real run on digits, and its report."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.api import running
from harness.data.cifar10 import CIFAR10
from harness.data.svhn import SVHN
from harness.errors import Stopped
from harness.execution.summary import Summary
from harness.networks.resnet18 import ResNet18
from harness.networks.wrn_32_10 import WRN32x10
from harness.plugin.dataset import Dataset, DataSource, Split
from harness.plugin.network import Network, Shape
from harness.reproduction import recipes
from harness.reproduction.recipes import parts
from harness.runtime.stopping import asked_to_stop, take_back_stop
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness, Refused

PROTOCOL = """
summary = "seconds"
epsilon = 0.2
[train]
epochs = 4
batch_size = 128
lr = 0.1
lr_drops = [0.6]
lr_factor = 0.1
momentum = 0.9
weight_decay = 0.0005
steps = 2
relative_step = "1/4"
start = "uniform"
early = 0.5
precision = "float32"
[evaluation]
checkpoints = ["last"]
steps = 2
relative_step = "1/4"
start = "uniform"
block_size = 4
attacks = ["natural", "pgd", "cw"]
"""
QUICK = "--dataset digits --protocol quick.toml --epochs 1 --seeds 1 --limit 8 --set width=4 --workers 1"
ABLATION = ["attacks=pgd floor=none", "attacks=cw floor=none", "floor=none", "", "floor=pgd"]


class TestDryRun:
    def test_table_4_on_digits(self, harness: Harness, elsewhere: Path) -> None:
        text = harness("reproduce table4 --dataset digits --dry-run")
        assert list(elsewhere.iterdir()) == []
        assert "networks: 5 to train, 0 trained already" in text
        for settings in ABLATION:
            name = f"lrat-smallcnn-digits-s0 {settings}".strip()
            assert f"  {name} (attempt 1): 0/20 epochs done\n" in text
            for attack, number in (("natural", 1), ("pgd", 5), ("cw", 5), ("autoattack", 5)):
                assert f"  {name} early: {attack}, {number} seed(s)\n" in text
        assert "evaluations: 105 to do, 0 done already" in text
        assert "time: unknown; this machine has not timed smallcnn" in text

    def test_its_passes(self, harness: Harness, elsewhere: Path) -> None:
        asked = "reproduce table4 --dataset digits --train-seeds 2 --eval-every 0"
        document = json.loads(harness(f"{asked} --dry-run --json"))
        assert list(elsewhere.iterdir()) == []
        (part,) = document["parts"]
        assert (part["dataset"], part["arch"]) == ("digits", "smallcnn")
        # ten steps for each simulated attack, a pass for each variant, and one for the image where the floor has it
        passes = sum((11, 11, 22, 23, 22)) * 1437 * 20 * 2
        assert part["training_passes"] == {"forward": passes, "backward": passes}
        told = Counter(" ".join(f"{k}={v}" for k, v in network["settings"].items()) for network in part["networks"])
        assert told == dict.fromkeys(ABLATION, 2)

    def test_the_paper(self, harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def noise(self: DataSource, data_dir: Path) -> Dataset:
            split = Split(torch.zeros(10, 3, 32, 32, dtype=torch.uint8), torch.arange(10))
            return Dataset(type(self).name, split, split, tuple("0123456789"))

        def linear(self: Network, shape: Shape) -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(shape.channels * shape.height * shape.width, shape.classes))

        for source in (CIFAR10, SVHN):
            monkeypatch.setattr(source, "load", noise)
        for network in (ResNet18, WRN32x10):  # a plan counts the passes of a true update, which takes these long
            monkeypatch.setattr(network, "build", linear)
        parts = json.loads(harness("reproduce all --dry-run --json --device cpu"))["parts"]
        assert list(elsewhere.iterdir()) == []
        place = [(part["dataset"], part["arch"], len(part["networks"])) for part in parts]
        assert place == [("cifar10", "resnet18", 10), ("cifar10", "wrn-32-10", 6), ("svhn", "resnet18", 3)]
        early_only, both = (7 + 3 + 3), (3 + 3)
        counts = Counter(e["checkpoint"] for part in parts for e in part["evaluations"])
        assert counts == {"early": (early_only + both) * 21, "last": both * 21}
        text = harness("reproduce table1 --dry-run --device cpu")
        assert "== cifar10, resnet18\n" in text
        assert "== cifar10, wrn-32-10\n" in text
        assert "== all: 6 networks to train" in text


@pytest.mark.slow
class TestRun:
    def test_on_digits_and_then_again(self, harness: Harness, elsewhere: Path) -> None:
        Path("quick.toml").write_text(PROTOCOL)
        harness(f"run lrat --arch smallcnn {QUICK}")  # Table 4's ([N]+P+C), evaluated at its last epoch
        first = json.loads(harness(f"reproduce table4 {QUICK} --json"))

        store = Store.read("leaderboard.db")
        runs = store.runs()
        store.close()
        departures = [" ".join(f"{k}={v}" for k, v in run.method_departures.items()) for run in runs]
        assert sorted(departures) == sorted(ABLATION)  # the fourth was there
        assert [run.status for run in runs] == ["done"] * 5
        assert [len(run.epochs) for run in runs] == [1] * 5
        early = {run.id: run.checkpoint("early") for run in runs}
        measured = {
            (departure, e.attack): e.percent
            for run, departure in zip(runs, departures, strict=True)
            for checkpoint in [early[run.id]]
            if checkpoint is not None
            for e in checkpoint.evaluations
            if e.complete and e.examples == 8
        }
        assert len(measured) == 5 * 3

        labels = ["lrat[P]", "lrat[C]", "lrat[P+C]", "lrat[N+P+C]", "lrat[P,P+C]"]
        assert len(first["cells"]) == 20
        for cell in first["cells"]:
            departure = ABLATION[labels.index(cell["method"])]
            assert " ".join(f"{k}={v}" for k, v in cell["run"]["settings"].items()) == departure
            assert (cell["table"], cell["dataset"], cell["arch"]) == ("4", "cifar10", "resnet18")
            assert (cell["run"]["dataset"], cell["run"]["arch"]) == ("digits", "smallcnn")
            if cell["metric"] == "autoattack":
                assert (cell["measured"], cell["verdict"]) == (None, "not in the protocol")
                continue
            median = measured[departure, cell["metric"]]
            assert cell["measured"] == {"median": median, "std": None, "n": 1, "train_seeds": 1}
            assert (cell["difference"], cell["bound"], cell["verdict"]) == (None, None, "order only")
        claims = {order["metric"]: (order["n"], order["missing"]) for order in first["orderings"]}
        assert claims == {"natural": (5, 0), "pgd": (5, 0), "cw": (5, 0), "autoattack": (5, 5)}

        plan = json.loads(harness(f"reproduce table4 {QUICK} --dry-run --json"))["parts"][0]
        assert (plan["evaluations"], plan["evaluations_done"]) == ([], 15)
        assert all(network["trained"] for network in plan["networks"])
        assert plan["estimated_s"] == 0
        assert json.loads(harness(f"reproduce table4 {QUICK} --json")) == first
        assert json.loads(harness(f"reproduce table4 {QUICK} --json --report")) == first
        again = Store.read("leaderboard.db")
        assert again.runs() == runs
        again.close()

    def test_a_training_that_fails_is_told(self, ends: Ends) -> None:
        Path("quick.toml").write_text(PROTOCOL)
        code, out, err = ends(f"reproduce table5 {QUICK} --set lr=1e30 --json")
        assert code == 1
        assert {cell["verdict"] for cell in json.loads(out)["cells"]} == {"not measured", "not in the protocol"}
        failures = [line for line in err.splitlines() if line.startswith("harness: run")]
        assert [line.split(" at ")[0] for line in failures] == [
            f"harness: run {number} failed: the loss is not finite" for number in (1, 2, 3)
        ]


class TestReport:
    @pytest.fixture(autouse=True)
    def no_images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: DataSource, data_dir: Path) -> Any:
            raise AssertionError("a report must not fetch the paper's data")

        for source in (CIFAR10, SVHN):
            monkeypatch.setattr(source, "load", refuse)

    def test_nothing_is_measured_yet(self, harness: Harness, elsewhere: Path) -> None:
        text = harness("reproduce all --report")
        assert list(elsewhere.iterdir()) == []
        assert "104 cells: not measured 104\n" in text
        lines = [line.split() for line in text.splitlines()]
        assert ["gairat", "cw", "47.17", "±", "0.17", *"-----", "not", "measured"] in lines  # Table 5
        assert ["lrat[P,P+C]", "natural", "82.08", *"-----", "not", "measured"] in lines
        assert [line.rstrip() for line in text.splitlines() if line.startswith("Table 2")] == [
            "Table 2: cifar10, resnet18, early",
            "Table 2: cifar10, resnet18, last",
            "Table 2: cifar10, wrn-32-10, early",
            "Table 2: cifar10, wrn-32-10, last",
        ]
        assert text.count("no claim on the order") == 2 + 4 + 1 + 1
        assert "missing: natural (3 of 3), pgd (3 of 3)" in text
        assert "|difference| <= 2 sqrt(reported deviation² + measured deviation²)" in text
        assert "No deviation of natural accuracy is reported" in text
        assert "gairat wrn-32-10 autoattack: printed equal to the CW cell in the paper" in text

    @pytest.mark.slow
    def test_orders_are_shown_where_they_are_complete(self, harness: Harness) -> None:
        Path("quick.toml").write_text(PROTOCOL)
        text = harness(f"reproduce table5 {QUICK}")
        assert text.splitlines()[0].rstrip() == "Table 5: svhn, resnet18, early; measured on digits with smallcnn"
        assert "difference" not in text.split("cells:")[0]
        assert "  order by cw: " in text
        assert "    reported  lrat > sat > gairat\n" in text
        assert "no claim on the order where cells are missing: autoattack (3 of 3)\n" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("table3 --report", "unknown table 'table3'"),
        ("table1 --dataset svhn --report", "table1 has no cell on svhn"),
        ("table4 --dry-run --report", "--dry-run and --report exclude each other"),
        ("table4 --dataset digits --set checkpoints=last", "the tables decide which checkpoints"),
        ("table4 --dataset digits --set lrat.minimum=0", "--set must not change lrat"),
        ("table1 --dataset digits --arch resnet18", "resnet18 takes images of 16x16 to 96x96"),
        ("table1 --dataset digit --report", "unknown dataset 'digit'; did you mean 'digits'?"),
        ("table1 --report --seeds 0", "--seeds 0 is refused"),
        ("table1 --report --db there.txt", "there.txt"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    arguments: str, told: str, elsewhere: Path, refusal: Refused
) -> None:
    Path("there.txt").write_text("no database")
    assert told in refusal(f"reproduce {arguments}")
    assert [path.name for path in elsewhere.iterdir()] == ["there.txt"]


def test_a_request_to_stop_at_the_end_of_a_part_holds_for_the_next(
    ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bool] = []

    def conduct(*_: object) -> Summary:
        heard.append(asked_to_stop())
        if heard[-1]:
            raise Stopped("stopped")
        os.kill(os.getpid(), signal.SIGTERM)  # when all of the part is done
        return Summary()

    def twice(*arguments: Any, **named: Any) -> Any:
        (jobs,) = parts(*arguments, **named).values()
        return {"first": jobs, "second": jobs}

    monkeypatch.setattr(running, "conduct", conduct)
    monkeypatch.setattr(recipes, "parts", twice)
    code, _, err = ends("reproduce table4 --dataset digits --seeds 1 --workers 1")
    take_back_stop()
    assert (code, heard) == (143, [False, True])
    assert err.splitlines()[-1].startswith("harness: stopped by SIGTERM; ")
