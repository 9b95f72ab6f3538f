"""``harness evaluate``: other balls, sweeps over radii, checks of rigour, and stops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.events import BlockDone
from harness.store.leases import Lease
from harness.store.store import Store
from tests.cli.conftest import Harness, Refused
from tests.cli.evaluate.given import HERE, TRAIN, N, by_identity, new, store_of, the_run
from tests.command import exit_code


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
        told = [settings for line in lines if (settings := [word for word in line if "=" in word])]
        assert told == [
            ["epsilon=0.2", "step_size=0.1"],
            ["epsilon=0", "step_size=0"],
            ["epsilon=64/255", "step_size=32/255"],
            ["restarts=3", "epsilon=0.2", "step_size=0.1"],
        ]

    def test_it_keeps_no_protocol_of_its_own(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --sweep 0,64 --seeds 1 --limit {N} {HERE}")
        assert len(store_of(place)[3]) == 1

    @pytest.mark.parametrize("text", ["", "a", "1,-2", "256", "1/255"])
    def test_what_is_no_radius_is_refused(self, text: str, place: Path, refused: Refused) -> None:
        assert "--sweep" in refused(f"evaluate 1 '--sweep={text}' {HERE}")


class TestChecks:
    """What the checks find is tested beside them; here: that it reaches the store, the board, and the user."""

    MODEL = "import torch\nfrom torch import nn\n\n\nclass Constant(nn.Module):\n    def forward(self, x):\n"
    MODEL += "        return 5 * torch.eye(10)[3].repeat(len(x), 1) + 0 * x.sum()\n"
    MASKED = """
from pathlib import Path
import torch
from torch import nn
from harness.data.digits import Digits


class Masked(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Buffer(weights)

    def forward(self, x):
        return x.detach().flatten(1) @ self.weights


def masked():
    train = Digits().load(Path("data")).train
    x, y = train.images.flatten(1) / 255, nn.functional.one_hot(train.labels).float()
    return Masked(torch.linalg.lstsq(x, y, driver="gelsd").solution)
"""
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
        board = harness("leaderboard --dataset digits --legend --db leaderboard.db")
        for finding in flagged.values():
            assert f"{finding.mark} {finding.check}: {finding.reason[:20]}" in shown
            assert f"{finding.mark} broken † (Constant, given): {finding.check}" in board
        rows = {r["method"]: r for r in json.loads(harness("leaderboard --format json --db leaderboard.db"))["rows"]}
        assert {flag["check"] for flag in rows["broken"]["flags"]} == flagged.keys()
        assert rows["sat"]["flags"] is None or rows["sat"]["source"] == "reported"  # the run was not examined

    def test_a_plugin_s_black_box_attack_shows_that_gradients_are_masked(self, harness: Harness, place: Path) -> None:
        (place / "masked.py").write_text(self.MASKED)
        harness("new attack seek")  # the template: random corners of the ball, black-box
        command = f"evaluate masked.py:masked --dataset digits --protocol quick.toml --limit {N} {HERE}"
        told = harness(f"{command} --attacks natural,pgd,seek --set seek.draws=200 --plugin seek.py")
        assert "S square-stronger: Seek alone breaks" in told
        assert "of the images, which pgd leave: gradients are masked" in told

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


@pytest.mark.slow
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

        def stopping(self: Store, block: BlockDone, lease: Lease) -> None:
            if len(told) == after:
                raise KeyboardInterrupt
            add(self, block, lease)
            told.append(block)

        with monkeypatch.context() as patch:
            patch.setattr(Store, "add_block", stopping)
            assert exit_code(f"harness {command}") == 130
        assert sum(len(e.blocks) for e in new(place)) == after
        harness(command)
        assert by_identity(place) == by_identity(whole)
        assert len(by_identity(place)) == 4
