"""``harness.run``: it asks for what the command line asks for, and reports what was done."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import harness
from harness.api import running
from harness.api.given import attacks_of, counts_of, grid_of, settings_of
from harness.api.table import Table
from harness.api.workplace import Workplace
from harness.errors import HarnessError, SettingError, UnknownName
from harness.planning.grid import read_axis
from harness.planning.request import RunRequest
from tests.command import exit_code

TINY = (
    "--dataset digits --arch smallcnn --set width=4 --epochs 1 --seeds 1 --limit 20 --attacks natural,pgd --no-checks"
)
TINY_TOO: dict[str, Any] = {
    **{"dataset": "digits", "arch": "smallcnn", "width": 4, "epochs": 1, "seeds": 1, "limit": 20},
    **{"attacks": ["natural", "pgd"], "checks": False},
}


class Asked(Exception):
    """Ends a command once it has made its request."""

    def __init__(self, request: RunRequest, place: Workplace, fresh: bool) -> None:
        super().__init__("asked")
        self.all = request, place, fresh


@pytest.fixture
def only_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(request: RunRequest, place: Workplace, *, fresh: bool, **_: object) -> None:
        raise Asked(request, place, fresh)

    monkeypatch.setattr(running, "plan_runs", stop)


@pytest.mark.usefixtures("only_ask")
@pytest.mark.parametrize(
    ("options", "methods", "keywords"),
    [
        ("sat", "sat", {}),
        ("sat trades", ["sat", "trades"], {}),
        (f"sat {TINY}", "sat", TINY_TOO),
        ("lrat --set train.lr=0.1 --set floor=pgd", "lrat", {"floor": "pgd", "set": {"train.lr": 0.1}}),
        ("lrat --set train.lr_drops=0.5,0.75", "lrat", {"set": {"train.lr_drops": [0.5, 0.75]}}),
        ("sat --epsilon 8/255", "sat", {"epsilon": "8/255"}),
        ("sat --wrap awp --wrap ema", "sat", {"wrap": ("awp", "ema")}),
        ("sat --protocol fastat --precision bfloat16", "sat", {"protocol": "fastat", "precision": "bfloat16"}),
        ("sat --state-every 2.5 --deterministic", "sat", {"state_every": 2.5, "deterministic": True}),
        ("sat --devices-per-run 2", "sat", {"devices_per_run": 2}),
        ("sat lrat --until-separated 9", ["sat", "lrat"], {"until_separated": 9}),
        ("sat --train-seeds 3 --fresh --plain", "sat", {"train_seeds": 3, "fresh": True, "plain": True}),
        (
            "sat --db a.db --runs-dir r --data-dir d",
            "sat",
            {"db": Path("a.db"), "runs_dir": "r", "data_dir": Path("d")},
        ),
        ("sat --device cpu --workers 2", "sat", {"device": "cpu", "workers": 2}),
        ("sat --per-device 3 --time-limit 90", "sat", {"per_device": 3, "time_limit": 90}),
        ("sat --plugin a.py --plugin b.py", "sat", {"plugins": ["a.py", Path("b.py")]}),
        (
            "sat --dataset folder:x --image-size 8 --channels 1 --class-order names",
            "sat",
            {"dataset": "folder:x", "image_size": 8, "channels": 1, "class_order": "names"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_makes_the_request_of_the_command_line(options: str, methods: Any, keywords: dict[str, Any]) -> None:
    """An identity is a function of the request, so equal requests have equal identities."""
    with pytest.raises(Asked) as by_command:
        exit_code(f"harness run {options}")
    with pytest.raises(Asked) as by_python:
        harness.run(methods, **keywords)
    assert by_python.value.all == by_command.value.all


def test_every_option_of_the_command_has_its_keyword() -> None:
    import inspect

    from harness.cli.run import run as command

    keywords = set(inspect.signature(harness.run).parameters)
    renamed = {"network": "arch", "values": "set"}
    left_out = {"as_json", "verbose", "quiet"}  # progress shows or hides; the report is the result
    left_out |= {"detach"}  # a job is a command
    options = {renamed.get(name, name) for name in inspect.signature(command).parameters} - left_out
    assert options <= keywords


def test_a_number_and_its_fraction_are_one_radius() -> None:
    from harness.plugin.threat import Threat

    (text,) = settings_of({"epsilon": 8 / 255})
    facts = {"steps": 1, "step_size": 0.1, "start": "none"}
    number = Threat.from_mapping({"epsilon": text.partition("=")[2], **facts})
    assert number == Threat.from_mapping({"epsilon": "8/255", **facts})


def test_settings_as_texts() -> None:
    given = {"a": True, "b": None, "c": (1, 2.5), "d": "x", "e": 3, "f": 1e-7}
    assert settings_of(given) == ("a=true", "b=none", "c=1,2.5", "d=x", "e=3", "f=1e-07")
    grids = grid_of({"a": [1, 2.5], "drops": [(0.5, 0.75)], "b": [(1, 2), 3]})
    assert grids == ("a=1;2.5", "drops=0.5,0.75;", "b=1,2;3")
    assert [read_axis(text).values for text in grids] == [("1", "2.5"), ("0.5,0.75",), ("1,2", "3")]
    assert attacks_of("pgd, cw") == attacks_of(["pgd", "cw"]) == ("pgd", "cw")
    with pytest.raises(SettingError, match="a dict is no setting"):
        settings_of({"a": {}})
    with pytest.raises(SettingError, match="name at least one"):
        attacks_of([])
    with pytest.raises(SettingError, match="floor is given twice"):
        settings_of({"floor": "pgd"}, {"floor": "cw"})
    for wrong in (2.5, "3", True):
        with pytest.raises(SettingError, match=r"seeds=.* is refused: it must be a whole number"):
            counts_of({"seeds": wrong})


class TestRefused:
    @pytest.mark.parametrize(
        ("keywords", "line"),
        [
            ({"methods": "trade"}, "unknown method 'trade'; did you mean 'trades'"),
            ({"methods": []}, "no method is named"),
            ({"epsilon": 8}, "8/255"),
            ({"seeds": 0}, "--seeds 0 is refused"),
            ({"steps": 3}, "train.steps or evaluation.steps or minimum-margin.steps"),
            ({"colour": "red"}, "unknown setting 'colour'"),
            ({"workers": 0}, "--workers 0 is refused"),
            ({"per_device": 0}, "--per-device 0 is refused"),
            ({"time_limit": 0}, "--time-limit 0 is refused"),
            ({"time_limit": math.nan}, "--time-limit nan is refused"),
            ({"device": "cpu", "devices": ["cuda:0"]}, "--device and --devices exclude each other"),
            ({"devices": ["cuda:0", "cuda:7"]}, "--devices cuda:"),
            ({"dataset": "digit"}, "did you mean 'digits'"),
            ({"epochs": 3, "set": {"train.epochs": 5}}, "--epochs 3 is refused: --set train.epochs=5 sets it, too"),
            ({"attacks": ["pgd", "cw"], "set": {"evaluation.attacks": "pgd"}}, "--attacks pgd,cw is refused"),
            ({"norm": "l2", "train.norm": "linf"}, "--norm l2 is refused: --set train.norm=linf sets it, too"),
        ],
        ids=str,
    )
    def test_in_one_line_and_nothing_is_written(self, keywords: dict[str, Any], line: str, tmp_path: Path) -> None:
        with pytest.raises(HarnessError) as refused:
            harness.run(**({"methods": "sat", "dataset": "digits", "arch": "smallcnn"} | keywords))
        assert line in str(refused.value)
        assert "\n" not in str(refused.value)
        assert list(tmp_path.iterdir()) == []

    def test_two_values_of_one_setting_elsewhere_too(self, tmp_path: Path) -> None:
        """Nobody can tell which of the two is meant; the keyword counted, and ``set`` had no effect."""
        with pytest.raises(SettingError, match=r"--epochs 3 is refused: --set epochs=5 sets it, too"):
            harness.tune(
                "sat", dataset="digits", arch="smallcnn", epochs=3, set={"epochs": 5}, trials=2, db=tmp_path / "a.db"
            )
        images = torch.rand(4, 1, 8, 8)
        with pytest.raises(SettingError, match=r"--epsilon 0\.1 is refused: --set epsilon=0\.2 sets it, too"):
            harness.evaluate(nn.Flatten(), x=images, y=torch.arange(4), epsilon=0.1, set={"epsilon": 0.2})
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_method_is_an_unknown_name(self) -> None:
        with pytest.raises(UnknownName):
            harness.run("nothing", dataset="digits")


def test_a_dry_run_is_the_plan_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert exit_code(f"harness run sat {TINY} --workers 1 --dry-run --json") == 0
    report = harness.run("sat", **TINY_TOO, workers=1, dry_run=True)
    assert report.plan == json.loads(capsys.readouterr().out)
    assert (len(report.rows), list(tmp_path.iterdir())) == (0, [])
    assert repr(report) == "plan: 1 networks, 2 evaluations to do"


def test_what_the_command_line_did_is_not_done_again(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert exit_code(f"harness run sat {TINY} --workers 1 --json") == 0
    printed = json.loads(capsys.readouterr().out)
    report = harness.run("sat", **TINY_TOO, workers=1)
    assert (report.trained, report.attacked, report.runs, report.failures) == (0, 0, (1,), {})
    assert isinstance(report.rows, Table)
    rows = printed.get("rows", [printed])
    for row in rows:
        for attack, figure in row["metrics"].items():
            (mine,) = (
                mine for mine in report.rows if (mine["checkpoint"], mine["attack"]) == (row["checkpoint"], attack)
            )
            assert mine["median_percent"] == figure["median"]
    assert any("from the store" in note for note in report.notes)
    assert capsys.readouterr() == ("", "")  # quiet
    report.check()

    failing = harness.RunReport(report.rows, failures={7: "the loss is not finite"})
    with pytest.raises(HarnessError, match="run 7 failed: the loss is not finite"):
        failing.check()


DIVERGES = """
from dataclasses import dataclass

from torch import Tensor

from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class Diverges(Method):
    '''Has no finite loss after half of its training.'''

    def loss(self, step: Step) -> Tensor:
        return step.model(step.x).sum() * (float("inf") if 0.5 < step.progress < 0.9 else 0.0)
"""


def test_a_failed_training_warns_and_is_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "diverges.py").write_text(DIVERGES)
    with pytest.warns(harness.RunFailed, match="run 1 failed"):
        report = harness.run("diverges", **TINY_TOO, workers=1, plugins="diverges.py")
    assert set(report.failures) == {1}
    assert len(report.rows) == 0
    assert "run 1 failed" in repr(report)
    with pytest.raises(HarnessError, match="run 1 failed"):
        report.check()


UNGUARDED = f"""
import harness
print("begins")
report = harness.run(["sat", "standard"], workers=2, **{TINY_TOO!r})
print(report.trained)
"""


@pytest.mark.slow
def test_a_script_needs_no_guard_around_its_calls(tmp_path: Path) -> None:
    """Processes that work side by side do not run the script again."""
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    ended = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert ended.stdout.split() == ["begins", "2"]
